package main

import (
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

var node = Node{Name: "plm-node", Root: "/data/volumes"}

func claim(uid string, change ...func(*v1.PersistentVolumeClaim)) *v1.PersistentVolumeClaim {
	class := "local-path"
	made := &v1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "plm", Name: "data-" + uid, UID: types.UID(uid),
			Annotations: map[string]string{claimAnnotation: Provisioner},
		},
		Spec: v1.PersistentVolumeClaimSpec{
			StorageClassName: &class,
			AccessModes:      []v1.PersistentVolumeAccessMode{v1.ReadWriteOnce},
			Resources: v1.VolumeResourceRequirements{
				Requests: v1.ResourceList{v1.ResourceStorage: resource.MustParse("1Gi")},
			},
		},
	}
	for _, apply := range change {
		apply(made)
	}
	return made
}

func released(volume *v1.PersistentVolume) *v1.PersistentVolume {
	volume.Status.Phase = v1.VolumeReleased
	return volume
}

func names(volumes []*v1.PersistentVolume) []string {
	var out []string
	for _, volume := range volumes {
		out = append(out, volume.Name)
	}
	return out
}

func TestAClaimGetsAVolumeOnThisNodeOnce(t *testing.T) {
	asked := []*v1.PersistentVolumeClaim{claim("b"), claim("a")}
	first := Decide(node, asked, nil)
	if got := names(first.Create); len(got) != 2 || got[0] != "pvc-a" || got[1] != "pvc-b" {
		t.Fatalf("created %v", got)
	}
	made := first.Create[0]
	if made.Spec.Local.Path != "/data/volumes/pvc-a" || made.Spec.ClaimRef.UID != "a" {
		t.Errorf("volume %+v does not belong to claim a", made.Spec)
	}
	if got := made.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0].Values; got[0] != node.Name {
		t.Errorf("volume may be used on %v", got)
	}
	if again := Decide(node, asked, first.Create); len(again.Create)+len(again.Remove) != 0 {
		t.Errorf("planned again: %+v", again)
	}
}

func TestClaimsThatAreNotForUsAreLeftAlone(t *testing.T) {
	block := v1.PersistentVolumeBlock
	now := metav1.Now()
	cases := map[string]func(*v1.PersistentVolumeClaim){
		"bound":               func(c *v1.PersistentVolumeClaim) { c.Spec.VolumeName = "pvc-x" },
		"another provisioner": func(c *v1.PersistentVolumeClaim) { c.Annotations[claimAnnotation] = "example.org/other" },
		"not yet scheduled":   func(c *v1.PersistentVolumeClaim) { c.Annotations = nil },
		"without a class":     func(c *v1.PersistentVolumeClaim) { c.Spec.StorageClassName = nil },
		"being deleted":       func(c *v1.PersistentVolumeClaim) { c.DeletionTimestamp = &now },
		"a block device":      func(c *v1.PersistentVolumeClaim) { c.Spec.VolumeMode = &block },
	}
	for name, change := range cases {
		if plan := Decide(node, []*v1.PersistentVolumeClaim{claim("a", change)}, nil); len(plan.Create) != 0 {
			t.Errorf("%s: created %v", name, names(plan.Create))
		}
	}
}

func TestABlockDeviceIsNamedAsUnfit(t *testing.T) {
	block := v1.PersistentVolumeBlock
	asked := claim("a", func(c *v1.PersistentVolumeClaim) { c.Spec.VolumeMode = &block })
	if plan := Decide(node, []*v1.PersistentVolumeClaim{asked}, nil); len(plan.Unfit) != 1 || plan.Unfit[0] != "plm/data-a" {
		t.Errorf("unfit: %v", plan.Unfit)
	}
}

func TestAReleasedVolumeGoes(t *testing.T) {
	volume := released(volumeFor(node, claim("a")))
	if got := names(Decide(node, nil, []*v1.PersistentVolume{volume}).Remove); len(got) != 1 || got[0] != "pvc-a" {
		t.Errorf("removed %v", got)
	}
}

func TestVolumesThatAreNotOursOrInUseStay(t *testing.T) {
	cases := map[string]func(*v1.PersistentVolume){
		"bound":               func(v *v1.PersistentVolume) { v.Status.Phase = v1.VolumeBound },
		"kept by its policy":  func(v *v1.PersistentVolume) { v.Spec.PersistentVolumeReclaimPolicy = v1.PersistentVolumeReclaimRetain },
		"another provisioner": func(v *v1.PersistentVolume) { v.Annotations[volumeAnnotation] = "example.org/other" },
		"outside our folder":  func(v *v1.PersistentVolume) { v.Spec.Local.Path = "/etc" },
		"above our folder":    func(v *v1.PersistentVolume) { v.Name, v.Spec.Local.Path = "..", "/data" },
		"our folder itself":   func(v *v1.PersistentVolume) { v.Name, v.Spec.Local.Path = "", "/data/volumes" },
		"no folder":           func(v *v1.PersistentVolume) { v.Spec.Local = nil },
	}
	for name, change := range cases {
		volume := released(volumeFor(node, claim("a")))
		change(volume)
		if plan := Decide(node, nil, []*v1.PersistentVolume{volume}); len(plan.Remove) != 0 {
			t.Errorf("%s: removed", name)
		}
	}
}
