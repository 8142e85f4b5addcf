package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/logfile"
	"github.com/gatehouse-project/gatehouse/transaction"
)

const parseLong = `Rebuild calls from API Gateway's logs.

Log events go in, and one JSON object for each call comes out on standard
output, in the order in which the calls closed. A FILE, or standard input, may
hold what 'aws logs filter-log-events' or 'get-log-events' print, events one a
line (NDJSON), CloudWatch subscription data, or the lines of 'aws logs tail';
also one after the other, and compressed with gzip or zstd. Several FILEs are
read as one, by time, so that access logs and execution logs join.

Counts of what belongs to no call go to standard error at the end. Secrets are
redacted.`

const parseExample = `  aws logs filter-log-events --log-group-name API-Gateway-Execution-Logs_a1b2c3d4e5/prod |
    gatehouse parse --log-group API-Gateway-Execution-Logs_a1b2c3d4e5/prod
  gatehouse parse execution.json access.json.gz
  gatehouse parse --access-format '$context.identity.sourceIp $context.requestId $context.status' access.log`

// lingering is how many calls seen in one kind of log alone wait for the other,
// so that files may follow one another in one input.
const lingering = 50_000

type parseFlags struct {
	formats  []string
	group    string
	account  string
	region   string
	unparsed string
	grace    time.Duration
	idle     time.Duration
	maxOpen  int
	follow   bool
	redact   transaction.RedactionRules
	classes  []string
}

func newParse(s *Streams) *cobra.Command {
	var flags parseFlags
	cmd := &cobra.Command{
		Use:     "parse [FILE…]",
		Short:   "Rebuild calls from files of log events",
		Long:    parseLong,
		Example: parseExample,
		RunE: func(_ *cobra.Command, args []string) error {
			return parse(s, &flags, args)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&flags.formats, "access-format", nil, "access-log format, for all groups or as `GROUP=FORMAT`; may be repeated")
	f.StringVar(&flags.group, "log-group", "", "`name` or ARN of the log group, where the input does not tell it")
	f.StringVar(&flags.account, "account", "", "`id` of the account, where the input does not tell it")
	f.StringVar(&flags.region, "region", "", "`name` of the region, where the input does not tell it")
	f.StringVar(&flags.unparsed, "unparsed", "", "write events that belong to no call to this `file`, as NDJSON")
	f.DurationVar(&flags.grace, "grace", 2*time.Second, "how long a call stays open after its completion line, in log time")
	f.DurationVar(&flags.idle, "idle", 60*time.Second, "when a call without a completion line closes, in log time")
	f.IntVar(&flags.maxOpen, "max-open-calls", 100_000, "how many calls may be open before the oldest is closed")
	f.StringArrayVar(&flags.redact.Headers, "redact-header", nil, "take the values of this `header` out, beside those of secrets; may be repeated")
	f.StringArrayVar(&flags.redact.JSONPaths, "redact-json-path", nil, "take this `path`, such as $.user.email, out of JSON bodies; may be repeated")
	f.StringSliceVar(&flags.classes, "redact-class", nil, "take out data of these `classes`: card (the default), email, phone, iban, ssn; secrets always are")
	f.BoolVar(&flags.follow, "follow", false, "write a call as soon as it closes, without waiting for another kind of log later in the input")
	return cmd
}

// parser is one run of the command.
type parser struct {
	assembler *transaction.Assembler
	formats   formats
	feeds     map[transaction.Group]*transaction.Feed
	group     transaction.Group // of the last event
	last      *transaction.Feed // of that group
	all       []*transaction.Feed
	clock     int64
	ticked    int64
	out       *bufio.Writer
	errs      io.Writer
	unparsed  *bufio.Writer
	line      []byte
	calls     []*transaction.Call
	seen      [2]map[uint64]struct{} // digests of events: the younger, the older

	events, doubles, late, closed, incomplete, evicted, bad int64
	kinds                                                   map[transaction.Kind]int64
}

// formats are the access-log formats that were given.
type formats struct {
	all     string
	byGroup map[string]string
}

func parse(s *Streams, flags *parseFlags, files []string) (err error) {
	if flags.grace <= 0 || flags.idle <= 0 || flags.maxOpen <= 0 {
		return usagef("--grace, --idle and --max-open-calls must be more than zero")
	}
	known, err := readFormats(flags.formats)
	if err != nil {
		return err
	}
	for _, class := range flags.classes {
		flags.redact.Classes = append(flags.redact.Classes, transaction.Class(class))
	}
	redactor, err := transaction.NewRedactor(flags.redact)
	if err != nil {
		return &UsageError{Err: err}
	}
	o := transaction.Options{Grace: flags.grace, Idle: flags.idle, MaxOpen: flags.maxOpen, Linger: lingering, Redactor: redactor}
	if flags.follow {
		o.Linger = 0
	}
	p := &parser{
		assembler: transaction.NewAssembler(o),
		formats:   known,
		feeds:     map[transaction.Group]*transaction.Feed{},
		out:       bufio.NewWriterSize(s.Out, 64<<10),
		errs:      s.Err,
		seen:      [2]map[uint64]struct{}{{}, {}},
		kinds:     map[transaction.Kind]int64{},
	}
	if flags.unparsed != "" {
		file, err := os.OpenFile(flags.unparsed, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return fmt.Errorf("writing unparsed events: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		p.unparsed = bufio.NewWriter(file)
	}
	defaults := transaction.NewGroup(flags.group)
	if flags.account != "" {
		defaults.Account = flags.account
	}
	if flags.region != "" {
		defaults.Region = flags.region
	}
	if len(files) == 0 {
		files = []string{"-"}
	}
	sources, closeAll := p.open(s, files, defaults)
	defer closeAll()
	if err := p.run(sources, flags.follow); err != nil {
		return err
	}
	p.report()
	if p.bad > 0 {
		return withHint(fmt.Errorf("%d places of the input could not be read; see above", p.bad),
			"everything else was parsed and written")
	}
	return nil
}

// readFormats sorts the formats into those of one group and the one for all.
func readFormats(given []string) (formats, error) {
	f := formats{byGroup: map[string]string{}}
	for _, text := range given {
		group, format, ok := strings.Cut(text, "=")
		if !ok || strings.ContainsAny(group, "${\"<[ ") {
			group, format = "", text
		}
		if _, err := transaction.CompileAccessFormat(format); err != nil {
			return f, withHint(&UsageError{Err: fmt.Errorf("--access-format %q: %w", text, err)},
				"give the stage's accessLogSettings.format, in quotes that the shell leaves alone")
		}
		switch {
		case group != "":
			f.byGroup[transaction.NewGroup(group).Name] = format
		case f.all != "" && f.all != format:
			return f, usagef("--access-format was given twice for all groups; use GROUP=FORMAT")
		default:
			f.all = format
		}
	}
	return f, nil
}

// source is one input. Its next event is read ahead, so that the inputs can be
// merged by time.
type source struct {
	name   string
	reader *logfile.Reader
	batch  []transaction.Event // of one group and millisecond, by event id
	groups []transaction.Group
	ahead  bool
	nextG  transaction.Group
	nextE  transaction.Event
	done   bool
}

func (p *parser) open(s *Streams, files []string, defaults transaction.Group) (sources []*source, closeAll func()) {
	var opened []*os.File
	for _, name := range files {
		var in io.Reader
		if name == "-" {
			name, in = "standard input", s.In
		} else {
			file, err := os.Open(name)
			if err != nil {
				p.complain(name, err)
				continue
			}
			if info, err := file.Stat(); err == nil && info.IsDir() {
				p.complain(name, errors.New("is a directory"))
				_ = file.Close()
				continue
			}
			opened = append(opened, file)
			in = file
		}
		sources = append(sources, &source{name: name, reader: logfile.NewReader(in, defaults)})
	}
	return sources, func() {
		for _, file := range opened {
			_ = file.Close()
		}
	}
}

func (p *parser) complain(name string, err error) {
	p.bad++
	const most = 20
	switch {
	case p.bad < most:
		fmt.Fprintf(p.errs, "gatehouse: %s: %v\n", name, err)
	case p.bad == most:
		fmt.Fprintf(p.errs, "gatehouse: %s: %v; more such places are only counted\n", name, err)
	}
}

// fill reads the next events of a source that have the same timestamp, and puts
// them in order of their ids.
func (p *parser) fill(s *source) {
	s.batch, s.groups = s.batch[:0], s.groups[:0]
	for !s.done {
		if !s.ahead {
			g, ev, err := s.reader.Next()
			if err != nil {
				if errors.Is(err, io.EOF) {
					s.done = true
					break
				}
				p.complain(s.name, err)
				_, goesOn := errors.AsType[*logfile.RecordError](err)
				s.done = !goesOn
				continue
			}
			s.nextG, s.nextE, s.ahead = g, ev, true
		}
		if len(s.batch) > 0 && (s.nextE.Timestamp != s.batch[0].Timestamp || s.nextE.Timestamp == 0 || len(s.batch) >= maxTies) {
			break
		}
		s.batch = append(s.batch, s.nextE)
		s.groups = append(s.groups, s.nextG)
		s.nextE, s.ahead = transaction.Event{}, false
	}
	if !slices.IsSortedFunc(s.batch, byID) {
		sort(s)
	}
}

// maxTies bounds how many events of one millisecond are put in order.
const maxTies = 10_000

func byID(x, y transaction.Event) int { return transaction.CompareEventIDs(x.ID, y.ID) }

// sort puts the batch in order of event ids; events without stay as they came.
func sort(s *source) {
	order := make([]int, len(s.batch))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, k int) int {
		return transaction.CompareEventIDs(s.batch[i].ID, s.batch[k].ID)
	})
	batch, groups := make([]transaction.Event, len(order)), make([]transaction.Group, len(order))
	for to, from := range order {
		batch[to], groups[to] = s.batch[from], s.groups[from]
	}
	s.batch, s.groups = batch, groups
}

// run merges the sources by time: the next event is always of the source whose
// next event is oldest. Where a source jumps back in time, so does the clock.
func (p *parser) run(sources []*source, follow bool) error {
	for _, s := range sources {
		p.fill(s)
	}
	for {
		var oldest *source
		for _, s := range sources {
			if len(s.batch) > 0 && (oldest == nil || s.batch[0].Timestamp < oldest.batch[0].Timestamp) {
				oldest = s
			}
		}
		if oldest == nil {
			break
		}
		for i := range oldest.batch {
			if err := p.add(oldest.groups[i], &oldest.batch[i]); err != nil {
				return err
			}
		}
		p.fill(oldest)
		if err := p.write(follow); err != nil {
			return err
		}
	}
	p.assembler.Flush()
	if err := p.write(true); err != nil {
		return err
	}
	if p.unparsed != nil {
		if err := p.unparsed.Flush(); err != nil {
			return fmt.Errorf("writing unparsed events: %w", err)
		}
	}
	return nil
}

func (p *parser) add(g transaction.Group, ev *transaction.Event) error {
	p.events++
	if ev.ID != "" && p.isDouble(ev.Digest()) {
		p.doubles++
		return nil
	}
	p.advance(ev.Timestamp)
	d := p.feed(g).Add(ev)
	switch d.Outcome {
	case transaction.Late:
		p.late++
	case transaction.Unparsed:
		p.kinds[d.Kind]++
		return p.keep(g, ev, d.Kind)
	}
	return nil
}

// maxSeen is how many event ids a generation remembers.
const maxSeen = 4 << 20

// isDouble reports whether an event was read before. What is remembered is
// bounded: the older half is forgotten when the younger is full.
func (p *parser) isDouble(digest uint64) bool {
	for _, generation := range p.seen {
		if _, double := generation[digest]; double {
			return true
		}
	}
	if len(p.seen[0]) >= maxSeen {
		p.seen = [2]map[uint64]struct{}{{}, p.seen[0]}
	}
	p.seen[0][digest] = struct{}{}
	return false
}

// tick is how far log time moves, in milliseconds, before the assembler is told.
const tick = 100

func (p *parser) advance(at int64) {
	if at == 0 {
		return
	}
	p.clock = at
	if at >= p.ticked && at < p.ticked+tick {
		return
	}
	p.ticked = at
	for _, f := range p.all {
		f.Advance(at)
	}
}

func (p *parser) feed(g transaction.Group) *transaction.Feed {
	if p.last != nil && p.group == g {
		return p.last
	}
	f := p.feeds[g]
	if f == nil {
		f = p.newFeed(g)
	}
	p.group, p.last = g, f
	return f
}

func (p *parser) newFeed(g transaction.Group) *transaction.Feed {
	named := g
	if named.AccessFormat = p.formats.byGroup[g.Name]; named.AccessFormat == "" {
		named.AccessFormat = p.formats.all
	}
	f := p.assembler.Feed(named)
	if p.clock != 0 {
		f.Advance(p.clock)
	}
	p.feeds[g] = f
	p.all = append(p.all, f)
	return f
}

// keep writes an event that belongs to no call. Its text was not redacted:
// nothing is known of it.
func (p *parser) keep(g transaction.Group, ev *transaction.Event, kind transaction.Kind) error {
	if p.unparsed == nil {
		return nil
	}
	p.line = appendUnparsed(p.line[:0], g, ev, kind)
	if _, err := p.unparsed.Write(p.line); err != nil {
		return fmt.Errorf("writing unparsed events: %w", err)
	}
	return nil
}

// write writes the calls that have closed.
func (p *parser) write(flush bool) error {
	p.calls = p.assembler.Take(p.calls[:0])
	for i, c := range p.calls {
		p.closed++
		if !c.Transaction.Complete {
			p.incomplete++
		}
		if c.Evicted {
			p.evicted++
		}
		p.line = append(c.Transaction.AppendJSON(p.line[:0]), '\n')
		if _, err := p.out.Write(p.line); err != nil {
			return fmt.Errorf("writing calls: %w", err)
		}
		p.calls[i] = nil
	}
	if flush {
		if err := p.out.Flush(); err != nil {
			return fmt.Errorf("writing calls: %w", err)
		}
	}
	return nil
}

// report writes what was counted to standard error.
func (p *parser) report() {
	w := p.errs
	fmt.Fprintf(w, "events:      %d\n", p.events)
	fmt.Fprintf(w, "calls:       %d\n", p.closed)
	fmt.Fprintf(w, "incomplete:  %d\n", p.incomplete)
	if p.evicted > 0 {
		fmt.Fprintf(w, "evicted:     %d\n", p.evicted)
	}
	fmt.Fprintf(w, "doubles:     %d\n", p.doubles)
	fmt.Fprintf(w, "late_lines:  %d\n", p.late)
	var ambiguous int64
	for _, f := range p.all {
		ambiguous += f.Ambiguous()
	}
	if ambiguous > 0 {
		fmt.Fprintf(w, "ambiguous:   %d\n", ambiguous)
	}
	var total int64
	kinds := make([]transaction.Kind, 0, len(p.kinds))
	for k, n := range p.kinds {
		kinds = append(kinds, k)
		total += n
	}
	slices.Sort(kinds)
	fmt.Fprintf(w, "unparsed:    %d\n", total)
	for _, k := range kinds {
		fmt.Fprintf(w, "  %s: %d\n", k, p.kinds[k])
	}
}
