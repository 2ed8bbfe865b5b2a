package main

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"

	v1 "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var podRange = netip.MustParsePrefix("10.244.0.0/16")

const (
	server   = "10.244.0.10" // plm, app=server, port "web" 8080
	friend   = "10.244.0.11" // plm, role=friend, port "web" 9090
	stranger = "10.244.0.12" // other (team=red), role=friend
	outside  = "198.51.100.1"
	unknown  = "10.244.0.99"
)

func pod(namespace, name, address string, set labels.Set, webPort int32) *v1.Pod {
	return &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(name), Labels: set},
		Spec: v1.PodSpec{Containers: []v1.Container{{
			Ports: []v1.ContainerPort{{Name: "web", ContainerPort: webPort, Protocol: v1.ProtocolTCP}},
		}}},
		Status: v1.PodStatus{Phase: v1.PodRunning, PodIP: address},
	}
}

func world(policies ...*networking.NetworkPolicy) Snapshot {
	return Snapshot{
		Pods: []*v1.Pod{
			pod("plm", "server", server, labels.Set{"app": "server"}, 8080),
			pod("plm", "friend", friend, labels.Set{"role": "friend"}, 9090),
			pod("other", "stranger", stranger, labels.Set{"role": "friend"}, 7070),
		},
		Namespaces: map[string]labels.Set{"plm": {}, "other": {"team": "red"}},
		Policies:   policies,
	}
}

func ingress(rules ...networking.NetworkPolicyIngressRule) *networking.NetworkPolicy {
	return &networking.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "plm", Name: "in"},
		Spec: networking.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: labels.Set{"app": "server"}},
			PolicyTypes: []networking.PolicyType{networking.PolicyTypeIngress},
			Ingress:     rules,
		},
	}
}

func egress(rules ...networking.NetworkPolicyEgressRule) *networking.NetworkPolicy {
	return &networking.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "plm", Name: "out"},
		Spec: networking.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: labels.Set{"role": "friend"}},
			PolicyTypes: []networking.PolicyType{networking.PolicyTypeEgress},
			Egress:      rules,
		},
	}
}

func pods(set labels.Set) networking.NetworkPolicyPeer {
	return networking.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{MatchLabels: set}}
}

func from(peers ...networking.NetworkPolicyPeer) networking.NetworkPolicyIngressRule {
	return networking.NetworkPolicyIngressRule{From: peers}
}

func flow(source, destination, protocol string, port uint16) Flow {
	return Flow{netip.MustParseAddr(source), netip.MustParseAddr(destination), protocol, port}
}

func expect(t *testing.T, snapshot Snapshot, want bool, flows ...Flow) {
	t.Helper()
	rules := Compile(snapshot)
	for _, f := range flows {
		if got := rules.Allows(f, podRange); got != want {
			t.Errorf("%v: allowed %v", f, got)
		}
	}
}

func TestWithoutPoliciesAllKnownPodsTalk(t *testing.T) {
	expect(t, world(), true, flow(friend, server, "tcp", 1), flow(outside, server, "udp", 53), flow(server, outside, "tcp", 1))
}

func TestAnUnknownPodMayNotTalkAtAll(t *testing.T) {
	expect(t, world(), false, flow(unknown, server, "tcp", 8080), flow(server, unknown, "tcp", 8080), flow(unknown, outside, "tcp", 1))
}

func TestAnEmptyPolicyRefusesEverythingButThePodItself(t *testing.T) {
	expect(t, world(ingress()), false, flow(friend, server, "tcp", 8080), flow(outside, server, "tcp", 8080))
	expect(t, world(ingress()), true, flow(server, server, "tcp", 8080), flow(server, friend, "tcp", 1))
}

func TestARuleWithoutPeersAllowsEverybody(t *testing.T) {
	expect(t, world(ingress(from())), true, flow(friend, server, "tcp", 1), flow(outside, server, "udp", 9))
}

func TestPodSelectorsStayInTheirNamespace(t *testing.T) {
	policy := ingress(from(pods(labels.Set{"role": "friend"})))
	expect(t, world(policy), true, flow(friend, server, "tcp", 8080))
	expect(t, world(policy), false, flow(stranger, server, "tcp", 8080))
}

func TestNamespaceSelectorsReachOut(t *testing.T) {
	red := networking.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{MatchLabels: labels.Set{"team": "red"}}}
	expect(t, world(ingress(from(red))), true, flow(stranger, server, "tcp", 8080))
	expect(t, world(ingress(from(red))), false, flow(friend, server, "tcp", 8080))
	red.PodSelector = &metav1.LabelSelector{MatchLabels: labels.Set{"role": "nobody"}}
	expect(t, world(ingress(from(red))), false, flow(stranger, server, "tcp", 8080))
}

func TestASelectorThatMatchesNobodyAllowsNobody(t *testing.T) {
	expect(t, world(ingress(from(pods(labels.Set{"role": "nobody"})))), false, flow(friend, server, "tcp", 8080))
}

func TestBlocksHaveExceptions(t *testing.T) {
	block := networking.NetworkPolicyPeer{IPBlock: &networking.IPBlock{CIDR: "10.244.0.0/24", Except: []string{stranger + "/32"}}}
	expect(t, world(ingress(from(block))), true, flow(friend, server, "tcp", 8080))
	expect(t, world(ingress(from(block))), false, flow(stranger, server, "tcp", 8080), flow(outside, server, "tcp", 8080))
}

func TestTheHostIsAdmittedByItsBlock(t *testing.T) {
	host := networking.NetworkPolicyPeer{IPBlock: &networking.IPBlock{CIDR: outside + "/32"}}
	expect(t, world(ingress(from(host))), true, flow(outside, server, "tcp", 8443))
	expect(t, world(ingress(from(host))), false, flow("198.51.100.9", server, "tcp", 8443))
}

func TestABlockThatIsNotIPv4AllowsNothing(t *testing.T) {
	for _, cidr := range []string{"2001:db8::/32", "nonsense"} {
		block := networking.NetworkPolicyPeer{IPBlock: &networking.IPBlock{CIDR: cidr}}
		expect(t, world(ingress(from(block))), false, flow(friend, server, "tcp", 8080))
	}
}

func TestPortsNamedNumberedAndRanged(t *testing.T) {
	udp, end := v1.ProtocolUDP, int32(9100)
	web, number, first := intstr.FromString("web"), intstr.FromInt32(443), intstr.FromInt32(9000)
	rule := networking.NetworkPolicyIngressRule{Ports: []networking.NetworkPolicyPort{
		{Port: &web}, {Port: &number}, {Port: &first, EndPort: &end}, {Protocol: &udp},
	}}
	expect(t, world(ingress(rule)), true,
		flow(friend, server, "tcp", 8080), flow(friend, server, "tcp", 443), flow(friend, server, "tcp", 9000),
		flow(friend, server, "tcp", 9100), flow(friend, server, "udp", 1))
	expect(t, world(ingress(rule)), false,
		flow(friend, server, "tcp", 8999), flow(friend, server, "tcp", 9101), flow(friend, server, "sctp", 443))
}

func TestANamedPortMeansWhatItMeansAtTheReceiver(t *testing.T) {
	web := intstr.FromString("web")
	everywhere := networking.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{}}
	rule := networking.NetworkPolicyEgressRule{
		To: []networking.NetworkPolicyPeer{everywhere}, Ports: []networking.NetworkPolicyPort{{Port: &web}},
	}
	expect(t, world(egress(rule)), true, flow(friend, server, "tcp", 8080), flow(friend, stranger, "tcp", 7070))
	expect(t, world(egress(rule)), false, flow(friend, server, "tcp", 7070), flow(friend, stranger, "tcp", 8080))
}

func TestBothEndsMustAgree(t *testing.T) {
	out := egress(networking.NetworkPolicyEgressRule{To: []networking.NetworkPolicyPeer{pods(labels.Set{"app": "server"})}})
	expect(t, world(out, ingress(from(pods(labels.Set{"role": "friend"})))), true, flow(friend, server, "tcp", 8080))
	expect(t, world(out, ingress()), false, flow(friend, server, "tcp", 8080))
	expect(t, world(out), false, flow(friend, stranger, "tcp", 7070), flow(friend, outside, "tcp", 1))
}

func TestNobodyButTheSenderSaysWhatReachesTheNode(t *testing.T) {
	port := intstr.FromInt32(6443)
	out := egress(networking.NetworkPolicyEgressRule{Ports: []networking.NetworkPolicyPort{{Port: &port}}})
	rules := Compile(world(out, ingress()))
	node := "198.51.100.2"
	for f, want := range map[Flow]bool{
		flow(friend, node, "tcp", 6443):  true,
		flow(friend, node, "tcp", 10250): false,
		flow(server, node, "tcp", 10250): true,
		flow(unknown, node, "tcp", 6443): false,
		flow(outside, node, "tcp", 6443): true,
	} {
		if got := rules.AllowsOut(f, podRange); got != want {
			t.Errorf("%v: allowed %v", f, got)
		}
	}
}

func TestPoliciesAdd(t *testing.T) {
	second := ingress(from(pods(labels.Set{"role": "friend"})))
	second.Name = "in-too"
	expect(t, world(ingress(), second), true, flow(friend, server, "tcp", 8080))
}

func TestPolicyTypesHaveTheApisDefaults(t *testing.T) {
	policy := ingress()
	policy.Spec.PolicyTypes = nil
	expect(t, world(policy), false, flow(friend, server, "tcp", 8080))
	expect(t, world(policy), true, flow(server, friend, "tcp", 9090))
	policy.Spec.Egress = []networking.NetworkPolicyEgressRule{{To: []networking.NetworkPolicyPeer{pods(labels.Set{"role": "x"})}}}
	expect(t, world(policy), false, flow(server, friend, "tcp", 9090))
}

func TestAnAssignedAddressIsNewerThanTheStatus(t *testing.T) {
	snapshot := world()
	// After a restart of the machine the friend got the address that the server's old status still names.
	snapshot.Assigned = map[types.UID]netip.Addr{"friend": netip.MustParseAddr(server)}
	rules := Compile(snapshot)
	found, known := rules.find(netip.MustParseAddr(server))
	if !known || found.Pod != "plm/friend" || len(rules.Pods) != 2 {
		t.Errorf("%s belongs to %v of %v", server, found.Pod, rules.Pods)
	}
}

func TestPodsWithoutANetworkOfTheirOwnHaveNoRules(t *testing.T) {
	snapshot := world()
	snapshot.Pods[0].Spec.HostNetwork = true
	snapshot.Pods[1].Status.Phase = v1.PodSucceeded
	snapshot.Pods[2].Status.PodIP = ""
	if rules := Compile(snapshot); len(rules.Pods) != 0 {
		t.Errorf("rules for %v", rules.Pods)
	}
}

func TestTheOrderOfTheSnapshotDoesNotMatter(t *testing.T) {
	second := ingress(from(pods(labels.Set{"role": "friend"})))
	second.Name = "in-too"
	straight, turned := world(ingress(from()), second), world(ingress(from()), second)
	slices.Reverse(turned.Pods)
	slices.Reverse(turned.Policies)
	if !reflect.DeepEqual(Compile(straight), Compile(turned)) {
		t.Error("rules differ")
	}
}
