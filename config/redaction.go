package config

import "github.com/gatehouse-project/gatehouse/transaction"

// Redactor compiles the rules of redaction.
func (c *Config) Redactor() (*transaction.Redactor, error) {
	rules := transaction.RedactionRules{Headers: c.RedactHeaders, JSONPaths: c.RedactJSONPaths, Classes: []transaction.Class{}}
	for _, class := range c.RedactClasses {
		rules.Classes = append(rules.Classes, transaction.Class(class))
	}
	return transaction.NewRedactor(rules)
}

// defaultRedactClasses are the classes of data that are taken out by default.
func defaultRedactClasses() []string {
	classes := transaction.DefaultClasses()
	names := make([]string, 0, len(classes))
	for _, c := range classes {
		names = append(names, string(c))
	}
	return names
}
