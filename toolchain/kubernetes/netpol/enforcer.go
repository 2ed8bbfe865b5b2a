package main

import (
	"context"
	"fmt"
	"log"
	"maps"
	"net/netip"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	retryAfter = time.Second
	// Somebody may have emptied the tables by hand: the rules are loaded anew this often, changed or not.
	reloadAfter = 30 * time.Second
)

// Loader is what carries rules into the kernel.
type Loader interface {
	Load(script string) error
	Cut(rules Ruleset) (uint, error)
}

// Enforcer keeps the kernel's rules equal to the policies. Every wake-up looks at everything: no event can be missed.
type Enforcer struct {
	kernel   Loader
	podRange netip.Prefix
	observe  func() (Snapshot, error) // without Assigned
	dirty    chan struct{}

	mutex    sync.Mutex
	assigned map[types.UID]netip.Addr
	enforced map[string]netip.Addr // namespace/name of pods whose rules are in force
	changed  chan struct{}         // closed and replaced when enforced changes
}

// NewEnforcer makes an enforcer that does nothing yet.
func NewEnforcer(kernel Loader, podRange netip.Prefix, observe func() (Snapshot, error)) *Enforcer {
	return &Enforcer{
		kernel:   kernel,
		podRange: podRange,
		observe:  observe,
		dirty:    make(chan struct{}, 1),
		assigned: map[types.UID]netip.Addr{},
		enforced: map[string]netip.Addr{},
		changed:  make(chan struct{}),
	}
}

// Wake makes the enforcer look again, soon.
func (e *Enforcer) Wake() {
	select {
	case e.dirty <- struct{}{}:
	default:
	}
}

// Run keeps the rules in force until the context ends. What is in force then stays.
func (e *Enforcer) Run(ctx context.Context) {
	last := ""
	reload := time.NewTicker(reloadAfter)
	defer reload.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-reload.C:
			last = ""
		case <-e.dirty:
		}
		text, err := e.enforce(last)
		if err != nil {
			log.Print(err)
			time.AfterFunc(retryAfter, e.Wake)
			continue
		}
		last = text
	}
}

func (e *Enforcer) enforce(last string) (string, error) {
	snapshot, err := e.observe()
	if err != nil {
		return last, fmt.Errorf("reading the caches: %w", err)
	}
	snapshot.Assigned = e.copyAssigned()
	rules := Compile(snapshot)
	text := Render(rules, e.podRange)
	if text != last {
		if err := e.kernel.Load(text); err != nil {
			return last, err
		}
		cut, err := e.kernel.Cut(rules)
		if err != nil {
			return last, fmt.Errorf("cutting refused connections: %w", err)
		}
		if last != "" {
			log.Printf("enforced %d policies on %d pods, cut %d connections", len(snapshot.Policies), len(rules.Pods), cut)
		}
	}
	e.publish(rules)
	return text, nil
}

// copyAssigned gives the assigned addresses. One stays until the plugin takes it back or another pod gets it, for a pod's
// object may arrive here later than its address.
func (e *Enforcer) copyAssigned() map[types.UID]netip.Addr {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	return maps.Clone(e.assigned)
}

func (e *Enforcer) publish(rules Ruleset) {
	enforced := make(map[string]netip.Addr, len(rules.Pods))
	for _, pod := range rules.Pods {
		enforced[pod.Pod] = pod.Address
	}
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.enforced = enforced
	close(e.changed)
	e.changed = make(chan struct{})
}

// Assign says that a pod got an address, and returns when its rules are in force: before that its containers must not
// start.
func (e *Enforcer) Assign(ctx context.Context, pod string, uid types.UID, address netip.Addr) error {
	e.mutex.Lock()
	maps.DeleteFunc(e.assigned, func(_ types.UID, its netip.Addr) bool { return its == address })
	e.assigned[uid] = address
	e.mutex.Unlock()
	e.Wake()
	for {
		e.mutex.Lock()
		isEnforced, changed := e.enforced[pod] == address, e.changed
		e.mutex.Unlock()
		if isEnforced {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("rules of %s are not in force: %w", pod, ctx.Err())
		case <-changed:
		}
	}
}

// Release says that a pod's address is free again.
func (e *Enforcer) Release(uid types.UID) {
	e.mutex.Lock()
	delete(e.assigned, uid)
	e.mutex.Unlock()
	e.Wake()
}
