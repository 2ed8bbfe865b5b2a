package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"net"
	"net/netip"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// answerWithin bounds how long the network plugin waits; afterwards the kubelet tries again by itself.
const answerWithin = 20 * time.Second

// Notice is what the network plugin says to the enforcer, one on each connection, as JSON. Without an address the pod
// gives its address back.
type Notice struct {
	Pod     string    `json:"pod"` // namespace/name
	UID     types.UID `json:"uid"`
	Address string    `json:"address"`
}

// Answer is what it hears: an empty error once the pod's rules are in force.
type Answer struct {
	Error string `json:"error"`
}

// Listen opens the socket that the plugin calls, also where an earlier process left one.
func Listen(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return net.Listen("unix", path)
}

// Serve answers the plugin until the listener closes.
func Serve(listener net.Listener, enforcer *Enforcer) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Print(err)
			return
		}
		go answer(connection, enforcer)
	}
}

func answer(connection net.Conn, enforcer *Enforcer) {
	defer connection.Close()
	var reply Answer
	if err := heed(connection, enforcer); err != nil {
		log.Print(err)
		reply.Error = err.Error()
	}
	if err := json.NewEncoder(connection).Encode(reply); err != nil {
		log.Print(err)
	}
}

func heed(connection net.Conn, enforcer *Enforcer) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	var notice Notice
	if err := json.NewDecoder(connection).Decode(&notice); err != nil {
		return err
	}
	if notice.Address == "" {
		enforcer.Release(notice.UID)
		return nil
	}
	address, err := netip.ParseAddr(notice.Address)
	if err != nil {
		return err
	}
	return enforcer.Assign(ctx, notice.Pod, notice.UID, address)
}
