package main

import (
	"cmp"
	"path/filepath"
	"slices"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Provisioner is the name by which a storage class asks for us.
const Provisioner = "plm.local/local-path"

const (
	// claimAnnotation is set by the controller manager once a claim may be served: with WaitForFirstConsumer that is
	// when its pod was scheduled.
	claimAnnotation  = "volume.kubernetes.io/storage-provisioner"
	volumeAnnotation = "pv.kubernetes.io/provisioned-by"
)

// Node is where the volumes lie.
type Node struct {
	Name string
	Root string // the folder that holds one folder per volume
}

// Plan is what to do next. Carried out and planned again it is empty.
type Plan struct {
	Create []*v1.PersistentVolume // the folder first, then the object
	Remove []*v1.PersistentVolume // the folder first, then the object: a removal cut off half way is found again
	Unfit  []string               // claims that ask for what a folder cannot be, as namespace/name
}

// Decide compares claims with volumes. It touches nothing of another provisioner's.
func Decide(node Node, claims []*v1.PersistentVolumeClaim, volumes []*v1.PersistentVolume) Plan {
	var plan Plan
	existing := map[string]bool{}
	for _, volume := range volumes {
		existing[volume.Name] = true
		if isOurs(node, volume) && isDone(volume) {
			plan.Remove = append(plan.Remove, volume)
		}
	}
	for _, claim := range claims {
		switch {
		case !isAskedOfUs(claim) || existing[volumeName(claim)]:
		case claim.Spec.VolumeMode != nil && *claim.Spec.VolumeMode == v1.PersistentVolumeBlock:
			plan.Unfit = append(plan.Unfit, claim.Namespace+"/"+claim.Name)
		default:
			plan.Create = append(plan.Create, volumeFor(node, claim))
		}
	}
	slices.SortFunc(plan.Create, byName)
	slices.SortFunc(plan.Remove, byName)
	slices.Sort(plan.Unfit)
	return plan
}

func byName(a, b *v1.PersistentVolume) int {
	return cmp.Compare(a.Name, b.Name)
}

func isAskedOfUs(claim *v1.PersistentVolumeClaim) bool {
	return claim.Spec.VolumeName == "" && claim.DeletionTimestamp == nil &&
		claim.Spec.StorageClassName != nil && claim.Annotations[claimAnnotation] == Provisioner
}

// isOurs also asks where the volume lies: we remove no folder that is not directly in our own.
func isOurs(node Node, volume *v1.PersistentVolume) bool {
	if volume.Annotations[volumeAnnotation] != Provisioner || volume.Spec.Local == nil {
		return false
	}
	folder := volume.Spec.Local.Path
	return filepath.Dir(folder) == filepath.Clean(node.Root) && filepath.Base(folder) == volume.Name
}

func isDone(volume *v1.PersistentVolume) bool {
	return volume.Status.Phase == v1.VolumeReleased &&
		volume.Spec.PersistentVolumeReclaimPolicy == v1.PersistentVolumeReclaimDelete
}

func volumeName(claim *v1.PersistentVolumeClaim) string {
	return "pvc-" + string(claim.UID)
}

func volumeFor(node Node, claim *v1.PersistentVolumeClaim) *v1.PersistentVolume {
	name := volumeName(claim)
	return &v1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{volumeAnnotation: Provisioner}},
		Spec: v1.PersistentVolumeSpec{
			Capacity:                      v1.ResourceList{v1.ResourceStorage: claim.Spec.Resources.Requests[v1.ResourceStorage]},
			AccessModes:                   claim.Spec.AccessModes,
			PersistentVolumeReclaimPolicy: v1.PersistentVolumeReclaimDelete,
			StorageClassName:              *claim.Spec.StorageClassName,
			ClaimRef: &v1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
			PersistentVolumeSource: v1.PersistentVolumeSource{Local: &v1.LocalVolumeSource{Path: filepath.Join(node.Root, name)}},
			NodeAffinity:           &v1.VolumeNodeAffinity{Required: onlyOn(node)},
		},
	}
}

func onlyOn(node Node) *v1.NodeSelector {
	here := v1.NodeSelectorRequirement{Key: v1.LabelHostname, Operator: v1.NodeSelectorOpIn, Values: []string{node.Name}}
	return &v1.NodeSelector{NodeSelectorTerms: []v1.NodeSelectorTerm{{MatchExpressions: []v1.NodeSelectorRequirement{here}}}}
}
