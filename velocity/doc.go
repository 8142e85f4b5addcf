// Package velocity reads and executes templates of the Velocity Template
// Language, as far as API Gateway's mapping templates use it: references with
// properties, methods and indexes, #set, #if, #foreach, #break, #stop, comments
// and unparsed text.
//
// A template is untrusted, and so is what it is given. Nothing of Go is reachable
// from one: values are texts, numbers, booleans, Map, List and what implements
// Object. Reading bounds the depth, executing bounds the steps, the size of the
// output and the memory that values take, so that a template neither runs for
// ever nor takes all memory.
//
// The language is that of Velocity 1.7: in a condition a reference to null or false
// is false and one to anything else is true, a text or a number that stands there
// itself is false, and #set of null leaves the variable as it was. One thing is API
// Gateway's own: a reference to null is empty, where Velocity would write the
// reference.
//
// The package also has the JSONPath of API Gateway's $input, in the dialect of
// Jayway.
package velocity
