package demo

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"
)

// dice decide what happens. They are safe for concurrent use.
type dice struct {
	mu     sync.Mutex
	random *rand.Rand
}

func newDice(seed uint64) *dice {
	return &dice{random: rand.New(rand.NewPCG(seed, 1))} //nolint:gosec // chance, not secrets
}

// below returns a number from 0 to n-1.
func (d *dice) below(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.random.IntN(n)
}

// oneIn is true once in n times.
func (d *dice) oneIn(n int) bool { return d.below(n) == 0 }

// about returns a time that is mean on average, mostly less and sometimes much more.
func (d *dice) about(mean time.Duration) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Duration(d.random.ExpFloat64() * float64(mean))
}

func (d *dice) orderID() string   { return fmt.Sprintf("ord-%08d", 40_000_000+d.below(5_000)) }
func (d *dice) paymentID() string { return fmt.Sprintf("pay_%06d", d.below(1_000_000)) }

func (d *dice) sku() string { return pick(d, "BK", "TY", "GD") + "-" + strconv.Itoa(1000+d.below(400)) }

func (d *dice) email() string {
	return pick(d, "ana", "bo", "chidi", "dana", "emre", "farah") + strconv.Itoa(d.below(90)) + "@example.com"
}

func pick[T any](d *dice, of ...T) T { return of[d.below(len(of))] }
