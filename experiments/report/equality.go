package report

import (
	"maps"
	"slices"
	"strings"

	"github.com/compspec/ocifit-lab/provision/words"
)

func launchCheck(p pair) Check {
	la, lb := launchOf(p.a), launchOf(p.b)
	switch {
	case !la.alike(lb):
		return equalLaunch.refuses("The rank counts differ by how the arms were launched, not by what the model chose: %s ran with %s, %s with %s.",
			p.arm.Name, la.text(), p.base.Name, lb.text()).of(p.a, p.b)
	case la.text() != lb.text():
		return equalLaunch.passes("Both arms were launched by one rule: %s: %s; %s: %s.", p.arm.Name, la.text(), p.base.Name, lb.text())
	default:
		return equalLaunch.passes("Both arms were launched alike: %s.", la.text())
	}
}

func threadsCheck(p pair) Check {
	ta, tb := p.arm.Threads, p.base.Threads
	if slices.Equal(ta, tb) && len(ta) == 1 {
		return equalThreads.passes("Every rank of both arms had %s.", words.Count(ta[0], "thread"))
	}
	outcome := equalThreads.refuses
	if launchOf(p.a).alike(launchOf(p.b)) {
		outcome = equalThreads.notes
	}
	return outcome("%s: %s; %s: %s.", p.arm.Name, list(ta), p.base.Name, list(tb))
}

func problemCheck(p pair) Check {
	sizes := distinct(append(slices.Clone(p.a), p.b...), func(r *TrialRow) [3]int { return r.local })
	if len(sizes) > 1 {
		return equalProblem.refuses("The trials solved %d different problem sizes.", len(sizes))
	}
	switch size := p.a[0].local; {
	case size == [3]int{}:
		return Check{} // the application has no grid
	case size[1] == 1 && size[2] == 1:
		return equalProblem.passes("Every trial used arrays of %d elements.", size[0])
	default:
		return equalProblem.passes("Every rank solved %s points.", gridText(size))
	}
}

// imageCheck allows that each architecture has its own image, for that belongs to the choice; within one architecture all trials must
// have run the same one.
func imageCheck(p pair) Check {
	byArch := map[string]map[string]bool{}
	all := map[string]bool{}
	known := 0
	for _, rows := range [][]TrialRow{p.a, p.b} {
		for i := range rows {
			if rows[i].Image == "" {
				continue
			}
			known++
			arch := archOf(&rows[i])
			if byArch[arch] == nil {
				byArch[arch] = map[string]bool{}
			}
			byArch[arch][rows[i].Image] = true
			all[tagOf(rows[i].Image)] = true
		}
	}
	for arch, images := range byArch {
		if len(images) > 1 {
			return equalImage.refuses("On %s the trials ran different images: %s.", arch, strings.Join(slices.Sorted(maps.Keys(images)), ", "))
		}
	}
	switch {
	case known == 0:
		return equalImage.notes("The images are not recorded.")
	case len(all) > 1:
		return equalImage.notes("Each architecture has an image built with its own flags (%s), so a part of a gap between architectures may be the compiler's.",
			strings.Join(slices.Sorted(maps.Keys(all)), ", "))
	default:
		return equalImage.passes("All trials ran the same image.")
	}
}

// archOf tells amd64 from arm64; imported trials have no decision that names it, but their image does.
func archOf(r *TrialRow) string {
	if r.Architecture != "" {
		return r.Architecture
	}
	if strings.HasSuffix(r.Image, "-arm") || strings.Contains(r.Image, "neoverse") {
		return "arm64"
	}
	return "amd64"
}

func tagOf(image string) string {
	image, _, _ = strings.Cut(image, "@")
	return image[strings.LastIndexAny(image, ":/")+1:]
}

// artifactCheck compares the artifacts that are known; one that is not recorded is no other one.
func artifactCheck(p pair) Check {
	all := distinct(append(slices.Clone(p.a), p.b...), func(r *TrialRow) string { return r.artifact })
	unknown := all[""]
	delete(all, "")
	switch {
	case len(all) > 1:
		return equalArtifact.refuses("The decisions were made from %d different artifacts.", len(all))
	case unknown > 0 && len(all) == 1:
		return equalArtifact.notes("The artifact of %s is not recorded; all others are of one.", words.Count(unknown, "trial"))
	case unknown > 0:
		return Check{}
	default:
		return equalArtifact.passes("All decisions were made from the same artifact.")
	}
}

func decisionCheck(p pair) Check {
	var wrong []TrialRow
	known := false
	for _, rows := range [][]TrialRow{p.a, p.b} {
		for _, r := range rows {
			known = known || r.chosen != ""
			if r.chosen != "" && r.InstanceType != "" && r.chosen != r.InstanceType {
				wrong = append(wrong, r)
			}
		}
	}
	switch {
	case !known:
		return decisionFollowed.notes("The webhook's decisions are not recorded, so it cannot be shown that the trials ran where it decided.")
	case len(wrong) > 0:
		return decisionFollowed.refuses("%s ran on another instance type than was decided.", words.Count(len(wrong), "trial")).of(wrong)
	}
	return decisionFollowed.passes("Every trial ran on the instance type that was decided.")
}
