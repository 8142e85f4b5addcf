package velocity_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/velocity"
)

// pets is what the templates of the tests are given as $body.
const pets = `{"pets":[{"id":1,"type":"dog","price":249.99},{"id":2,"type":"cat","price":124.99},{"id":3,"type":"fish","price":0.99}],"owner":{"name":"O'Hara","none":null,"yes":true,"no":false},"empty":[]}`

func execute(t *testing.T, template string) (string, error) {
	t.Helper()
	body, err := velocity.ParseJSON([]byte(pets))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := velocity.Parse(template)
	if err != nil {
		return "", err
	}
	return parsed.Execute(map[string]any{"body": body, "name": "Rex", "n": int64(7)}, velocity.Limits{})
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ template, want string }{
		{"plain $ text # and \\ more, $5, #1, a#b", "plain $ text # and \\ more, $5, #1, a#b"},
		{"$name ${name}s $!name $!{name}", "Rex Rexs Rex Rex"},
		// A reference to nothing is empty, as API Gateway has it.
		{"[$nothing][$body.owner.none][$body.nothing.more][$name.nothing()]", "[][][][]"},
		{`\$name \\$name \\\$name \#if \x`, `$name \Rex \$name #if \x`},
		{"a ## comment\nb #* more\n $name *#c #[[ $name #if ]]#", "a b c  $name #if "},
		{"$body.owner.name ${body.owner.name}. $body.pets[0].type $body.pets[-1].type $body['owner']['name'] $body.get('owner').get(\"name\")", "O'Hara O'Hara. dog fish O'Hara O'Hara"},
		{"$body.pets.size() $body.pets.count() $body.owner.keySet() $body.empty.isEmpty() $body.pets[0].containsKey('id')", "3 3 [name, none, yes, no] true true"},
		// Java writes a map in its own way, and an array of JSON as JSON.
		{"$body.pets[0] $body.pets", `{id=1, type=dog, price=249.99} [{"id":1,"type":"dog","price":249.99},{"id":2,"type":"cat","price":124.99},{"id":3,"type":"fish","price":0.99}]`},
		{"#set($x = 1)\n  #set( $y = $x + 2 * 3 - 4 )\n$y", "3"},
		{"#set($x = 'a $name')$x #set($y = \"a $name #if(true)b#end\")$y #set($z = \"say \"\"hi\"\"\")$z", "a $namea Rex bsay \"hi\""},
		{"#set($x = 1)#set($x = $nothing)$x", "1"},
		{"#if($body.owner.yes)yes#else\nno#end #if($body.owner.no)yes#{else}no#end #if($nothing)a#elseif($n == 7)b#else c#end #set($e = '')#if($e)empty is true#end", "yes no bempty is true"},
		// A text or a number that stands in a condition itself is false.
		{"#if('x')a#end#if(1)b#end#if([1])c#end#if({'a': 1})d#end#if(1 + 1)e#end#if(\"$name\")f#end#if(!'x')g#end#if('x' || $name)h#end#set($b = ('x' && true))$b", "ghfalse"},
		{"#if('a' < 'b')a#end#if(1 == '1')b#end#if(true == 'true')c#end", "bc"},
		{"#set($l = ['x', 'y', 3])#set($ok = $l.remove('x'))$ok$l#set($ok = $l.remove(0))$ok$l#set($ok = $l.remove('z'))$ok", "true[y, 3]y[3]false"},
		{" #set($x = 1)a #set($x = 2)b$x #set($x = 3)c\n  #set($x = 4)\nd", "a b2c\n  d"},
		{"#if($n > 6 && $n < 8)a#end#if($n ge 7 and not ($n ne 7))b#end#if(!$nothing || false)c#end#if($name == 'Rex')d#end#if($name != \"Rex\")e#end#if('7' == $n)f#end", "abcdf"},
		{"#foreach($p in $body.pets)$foreach.index/$foreach.count/$velocityCount:$p.type#if($foreach.hasNext), #end#end", "0/1/1:dog, 1/2/2:cat, 2/3/3:fish"},
		{"#foreach($e in $body.owner.entrySet())$e.key=$e.value;#end#foreach($v in $body.pets[0])$v #end", "name=O'Hara;none=;yes=true;no=false;1 dog 249.99 "},
		{"#foreach($i in [1..3])#foreach($j in [3..1])$foreach.parent.count$j #if($j==2)#break#end#end#end$i", "13 12 23 22 33 32 "},
		{"#foreach($x in [])a#end#foreach($x in $nothing)b#end#foreach($x in ['a', 2, $name])$x#end", "a2Rex"},
		{"#set($l = [])#set($ok = $l.add('a'))#set($ok = $l.addAll([1, 2]))$l $l.size() $l.contains(2) $l.indexOf('a') $l.get(1)#set($l[0] = 'z')$l", "[a, 1, 2] 3 true 0 1[z, 1, 2]"},
		{"#set($m = {'a': 1, \"b\": [true]})#set($m.c = 'd')#set($m['e'] = 5)$m $m.a #set($v = $m.put('a', 2))$m.a $m.remove('b') $m.size() $m.getOrDefault('zz', 'no')", "{a=1, b=[true], c=d, e=5} 12 [true] 3 no"},
		{"$name.length() $name.toUpperCase() $name.toLowerCase().startsWith('r') $name.endsWith('x') $name.substring(1) $name.substring(0, 2) $name.indexOf('e') $name.charAt(1) $name.contains('ex') $name.concat('y') $name.isEmpty() $name.equalsIgnoreCase('rex') $name.equals('Rex')", "3 REX true true ex Re 1 e true Rexy false true true"},
		{"$name.replace('e', 'a') $name.replaceAll('([ex])', '<$1>') $name.replaceFirst('[a-z]', '') $name.matches('R.*') $name.matches('R')", "Rax R<e><x> Rx true false"},
		{`#set($s = "it\'s")$s.replaceAll("\\'","'")`, "it's"},
		{"#set($s = 'a,b,,c,,')#set($parts = $s.split(','))$parts.size() $parts[3] #foreach($p in $s.split(',', 2))<$p>#end", "4 c <a><b,,c,,>"},
		{"#set($s = '  käse ')$s.trim() $s.trim().length() $s.trim().substring(1,3) $s.trim().indexOf('s')", "käse 4 äs 2"},
		{"#set($a = 10 / 3)$a #set($b = 10 % 3)$b #set($c = 10.0 / 4)$c #set($d = 1 / 0)[$d] #set($e = 'n' + 1)$e #set($f = -3)$f #set($g = 1 + 2.5)$g", "312.5[] n1-33.5"},
		{"a#stop b", "a"},
		{"#foreach($i in [1..2000])#end#set($n2 = 0)#foreach($i in [1..2000])#set($n2 = $n2 + 1)#end$n2", "1000"},
		{"{\n  #if(true)\n  \"a\": 1\n  #end\n}", "{\n    \"a\": 1\n  }"},
		{"$foo-bar $name-x", " "},
		{"#notadirective #ifx #setter(1)", "#notadirective #ifx #setter(1)"},
		{"$name.class $name.getClass() $body.class", "  "},
	} {
		got, err := execute(t, c.template)
		if err != nil || got != c.want {
			t.Errorf("%s\n got %q %v\nwant %q", c.template, got, err, c.want)
		}
	}
}

func TestTemplateMistakes(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]string{
		"a\n#if($x)":                     "line 2, column 1: #if without #end",
		"#end":                           "line 1, column 1: #end without",
		"#foreach($x in $y)":             "#foreach without #end",
		"#foreach(x in $y)#end":          "without a variable",
		"#set($x)":                       "#set without =",
		"#set(x = 1)":                    "#set without a reference",
		"#set($x.y() = 1)":               "cannot set",
		"#set($x = )":                    "is not an expression",
		"#set($x = 'a":                   "does not end",
		"${name":                         "} is missing",
		"$name.x(":                       "does not end",
		"#* ":                            "does not end",
		"#[[ ":                           "does not end",
		"#include('/etc/passwd')":        "#include is not known",
		"#macro(a)#end":                  "#macro is not known",
		"#set($x = \"#if(true)\")":       "#if without #end",
		strings.Repeat("#if(true)", 100): "nested",
		"#set($x = " + strings.Repeat("(", 100) + "1": "nested",
		"$body.pets[9]":                             "an index is outside of its list",
		"\n  $name.substring(9)":                    "line 2, column 3: the arguments of substring do not fit",
		"$name.replaceAll('(', '')":                 "regular expression",
		strings.Repeat("x", velocity.MaxTemplate+1): "larger than",
	} {
		_, err := execute(t, template)
		var mistake *velocity.Error
		if !errors.As(err, &mistake) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %s", template, err, want)
		}
	}
}

// TestTemplatesAreBounded runs templates that would run for ever or take all
// memory.
func TestTemplatesAreBounded(t *testing.T) {
	t.Parallel()
	nest := func(body string) string {
		for _, v := range []string{"a", "b", "c", "d"} {
			body = "#foreach($" + v + " in [1..1000])" + body + "#end"
		}
		return body
	}
	for name, template := range map[string]string{
		"steps":             nest("#if(true)#end"),
		"output":            nest(strings.Repeat("x", 1000)),
		"doubling a text":   "#set($s='xxxxxxxxxxxxxxxx')" + nest(`#set($s=$s + $s)`),
		"doubling a list":   "#set($l=[1])" + nest(`#set($ok=$l.addAll($l))`),
		"replacing":         "#set($s='xxxxxxxxxxxxxxxx')" + nest(`#set($s=$s.replace('x', 'xx'))`),
		"a list in itself":  "#set($l=[])#set($ok=$l.add($l))$l",
		"a map in itself":   "#set($m={})#set($m.m=$m)$m",
		"a list of itself":  "#set($l=[])" + nest(`#set($l=[$l,$l])`) + "$l",
		"a very long range": "#set($l=[1..100000000])",
		"a costly pattern":  "#set($s='xxxxxxxxxxxxxxxx')" + nest(`#set($t=$s.replaceAll("(a{900}){1}$a$b$c$d", ''))`),
		"a costly match":    "#set($s='x')#foreach($i in [1..20])#set($s=$s+$s)#end" + nest(`#set($t=$s.matches('(x?){900}y'))`),
		"comparing texts":   "#set($s='x')#foreach($i in [1..20])#set($s=$s+$s)#end#set($t=$s+'')" + nest(`#if($s == $t)#end`),
		"comparing lists":   "#set($l=[1..1000])#set($m=[1..1000])" + nest(`#if($l == $m)#end`),
		"interpolation":     "#set($s='xxxxxxxxxxxxxxxx')" + nest(`#set($s="$s$s")`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			got, err := execute(t, template)
			if err == nil {
				t.Errorf("it gave %d bytes", len(got))
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestJSONPath(t *testing.T) {
	t.Parallel()
	root, err := velocity.ParseJSON([]byte(pets))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, want string }{
		{"$", pets},
		{"$.owner.name", `"O'Hara"`},
		{"owner.name", `"O'Hara"`},
		{"$['owner'][\"name\"]", `"O'Hara"`},
		{"$.pets[0].id", "1"},
		{"$.pets[-1].id", "3"},
		{"$.pets[9].id", "nothing"},
		{"$.nothing", "nothing"},
		{"$.owner.none", "null"},
		{"$.pets[*].id", "[1,2,3]"},
		{"$.pets.*.id", "[1,2,3]"},
		{"$.pets[0,2].id", "[1,3]"},
		{"$.pets[1:].id", "[2,3]"},
		{"$.pets[:-1].id", "[1,2]"},
		{"$.pets[0:1].id", "[1]"},
		{"$.pets[0]['id','type']", `[1,"dog"]`},
		{"$..price", "[249.99,124.99,0.99]"},
		{"$..nothing", "[]"},
		{"$.pets[?(@.price < 200)].type", `["cat","fish"]`},
		{"$.pets[?(@.type == 'dog' || @.id >= 3 && @.price != 5)].id", "[1,3]"},
		{"$.pets[?(@.nothing)].id", "[]"},
		{"$.pets[?(!@.nothing)].id", "[1,2,3]"},
		{"$.pets.length()", "3"},
		{"$.owner.size()", "4"},
	} {
		path, err := velocity.ParsePath(c.path)
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		v, ok, err := path.Select(root)
		got := "nothing"
		if ok && err == nil {
			got, err = velocity.JSON(v)
		}
		if err != nil || got != c.want {
			t.Errorf("%s: got %s %v, want %s", c.path, got, err, c.want)
		}
	}
	for _, path := range []string{"$.", "$[", "$['a", "$[a]", "$..", "$.a[?(", "$.a[?(@.b ==)]", "$ .a", "$.a[1:2:3]", "$.a]", strings.Repeat("$.a", 3000)} {
		if _, err := velocity.ParsePath(path); err == nil {
			t.Errorf("%.30s was read", path)
		}
	}
}

// FuzzTemplate executes what it likes: an error or an output within its bound,
// never a panic.
func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{
		"#set($p = $body.path)#foreach($k in $body.keySet())\"$k\": $body.get($k)#if($foreach.hasNext),#end#end",
		"#if($a == 1 && !$b)x#elseif($c)y#{else}z#end ${a.b[0].c('d', \"e $f\")} \\$a #* c *# #[[ u ]]# ## d",
		"#set($m = {'a': [1..3], 'b': -1.5e3})$m.a[-1] $name.replaceAll('(.)', '$1$1').split('x', 2) #stop",
		"#set($l=[])#set($ok=$l.add($l))$l", "$body.pets[0].price.intValue()", "${", "#{if}(", "\"#set($x=\"", "$!{a.b}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		template, err := velocity.Parse(text)
		if err != nil {
			return
		}
		body, _ := velocity.ParseJSON([]byte(pets))
		out, err := template.Execute(map[string]any{"body": body, "name": "Rex", "a": int64(1)}, velocity.Limits{Steps: 20_000, Output: 64 << 10})
		if err == nil && len(out) > 64<<10 {
			t.Errorf("%d bytes", len(out))
		}
	})
}

// FuzzPath reads and follows what it likes.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"$..a[?(@.b == 'c' && @.d < 1.5 || !@.e)].length()", "$['a',\"b\"][0,-1][1:2]", "a.b", "$..*"} {
		f.Add(seed, pets)
	}
	f.Fuzz(func(t *testing.T, text, doc string) {
		root, err := velocity.ParseJSON([]byte(doc))
		if err != nil {
			return
		}
		path, err := velocity.ParsePath(text)
		if err != nil {
			return
		}
		if v, ok, err := path.Select(root); ok && err == nil {
			if _, err := velocity.JSON(v); err != nil {
				t.Log(err)
			}
		}
	})
}
