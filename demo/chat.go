package demo

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/gatehouse-project/gatehouse/gateway"
)

// chatAct is something that happens in the chat.
type chatAct int

const (
	noChat chatAct = iota
	chatConnect
	chatMessage
	chatLeave
)

// maxChatters is how many are in the chat at once.
const maxChatters = 60

// chatters are the clients of the WebSocket API that are connected.
type chatters struct {
	*dice
	api  *gateway.API
	made func() // counts a call

	mu      sync.Mutex
	open    []*websocket.Conn
	all     sync.WaitGroup // those who read
	replies int
}

// act makes one call to the chat API: somebody comes, says something or leaves. It
// is one call, whichever there is someone for.
func (c *chatters) act(ctx context.Context, what chatAct, who *client) error {
	c.mu.Lock()
	var conn *websocket.Conn
	n := len(c.open)
	switch {
	case n == 0 || what == chatConnect && n < maxChatters:
		what = chatConnect
	default:
		if what == chatConnect {
			what = chatLeave
		}
		i := c.below(n)
		conn = c.open[i]
		if what == chatLeave {
			c.open = slices.Delete(c.open, i, i+1)
		}
	}
	c.mu.Unlock()
	switch what {
	case chatConnect:
		return c.connect(ctx, who)
	case chatLeave:
		if c.oneIn(5) {
			return conn.CloseNow() // a phone that lost its network
		}
		if err := conn.Close(websocket.StatusNormalClosure, "bye"); err != nil {
			return fmt.Errorf("leaving the chat: %w", err)
		}
		return nil
	default:
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		text := `{"action":"sendMessage","text":"` + pick(c.dice, "hello", "is it in stock?", "thanks", "when will it come?") + `"}`
		if conn.Write(ctx, websocket.MessageText, []byte(text)) == nil {
			c.made()
		}
		return nil // whoever has just left says nothing, and made no call
	}
}

// connect opens a connection and starts to read from it. Its end, whoever ends it,
// is a call too.
func (c *chatters) connect(ctx context.Context, who *client) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://"+hostOf(c.api)+pathOf("prod", ""), &websocket.DialOptions{ //nolint:bodyclose // Dial closes it
		HTTPClient: &http.Client{Transport: who.transport}, HTTPHeader: http.Header{"User-Agent": {who.agent}},
	})
	if err != nil {
		return fmt.Errorf("coming to the chat: %w", err)
	}
	c.made()
	c.mu.Lock()
	c.open = append(c.open, conn)
	c.mu.Unlock()
	c.all.Go(func() { c.read(conn) })
	return nil
}

// read takes what comes until the connection ends.
func (c *chatters) read(conn *websocket.Conn) {
	for {
		_, text, err := conn.Read(context.Background())
		if err != nil {
			break
		}
		if strings.Contains(string(text), `"delivered":true`) {
			c.mu.Lock()
			c.replies++
			c.mu.Unlock()
		}
	}
	c.mu.Lock()
	c.open = slices.DeleteFunc(c.open, func(o *websocket.Conn) bool { return o == conn })
	c.mu.Unlock()
	c.made()
}

// leave ends all connections, from the clients' side: a message that is on its way
// still comes before the end.
func (c *chatters) leave() {
	c.mu.Lock()
	open := slices.Clone(c.open)
	c.mu.Unlock()
	for _, conn := range open {
		c.all.Go(func() { _ = conn.Close(websocket.StatusGoingAway, "Going away") }) // read sees how it ends
	}
	c.all.Wait()
}
