package main

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
)

// fakeKernel takes rules as the kernel would; it can be told to refuse them.
type fakeKernel struct {
	mutex   sync.Mutex
	loaded  []string
	refuses bool
}

func (k *fakeKernel) Load(script string) error {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if k.refuses {
		return errors.New("refused")
	}
	k.loaded = append(k.loaded, script)
	return nil
}

func (k *fakeKernel) Cut(Ruleset) (uint, error) { return 0, nil }

func (k *fakeKernel) last() string {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if len(k.loaded) == 0 {
		return ""
	}
	return k.loaded[len(k.loaded)-1]
}

// running gives an enforcer at work over a world in which the friend has no address yet.
func running(t *testing.T, kernel *fakeKernel) *Enforcer {
	t.Helper()
	snapshot := world()
	snapshot.Pods[1].Status = v1.PodStatus{}
	enforcer := NewEnforcer(kernel, podRange, func() (Snapshot, error) { return snapshot, nil })
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go enforcer.Run(ctx)
	return enforcer
}

func TestAPodWaitsUntilItsRulesAreInForce(t *testing.T) {
	kernel := &fakeKernel{}
	enforcer := running(t, kernel)
	if err := enforcer.Assign(t.Context(), "plm/friend", "friend", netip.MustParseAddr(friend)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(kernel.last(), friend) {
		t.Errorf("the pod may start under\n%s", kernel.last())
	}
}

func TestAPodDoesNotStartWhenTheKernelRefuses(t *testing.T) {
	enforcer := running(t, &fakeKernel{refuses: true})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := enforcer.Assign(ctx, "plm/friend", "friend", netip.MustParseAddr(friend)); err == nil {
		t.Error("the pod may start without rules")
	}
}

func TestAPodThatNobodyKnowsDoesNotStart(t *testing.T) {
	enforcer := running(t, &fakeKernel{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := enforcer.Assign(ctx, "plm/ghost", "ghost", netip.MustParseAddr(unknown)); err == nil {
		t.Error("a pod without an object may start")
	}
}

func TestAReleasedAddressIsRefusedAgain(t *testing.T) {
	kernel := &fakeKernel{}
	enforcer := running(t, kernel)
	if err := enforcer.Assign(t.Context(), "plm/friend", "friend", netip.MustParseAddr(friend)); err != nil {
		t.Fatal(err)
	}
	enforcer.Release("friend")
	deadline := time.After(5 * time.Second)
	for strings.Contains(kernel.last(), friend) {
		select {
		case <-deadline:
			t.Fatalf("still allowed:\n%s", kernel.last())
		default:
			enforcer.Wake()
		}
	}
}
