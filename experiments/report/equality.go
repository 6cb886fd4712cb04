package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func launchCheck(p pair) Check {
	la, lb := launchOf(p.a), launchOf(p.b)
	c := Check{Name: "equal-launch", Status: Pass}
	if la.alike(lb) {
		c.Text = fmt.Sprintf("Both arms were launched alike: %s.", la.text())
		if la.text() != lb.text() {
			c.Text = fmt.Sprintf("Both arms were launched by one rule: %s: %s; %s: %s.", p.arm.Name, la.text(), p.base.Name, lb.text())
		}
		return c
	}
	c.Status = Refuse
	c.Text = fmt.Sprintf("The rank counts differ by how the arms were launched, not by what the model chose: %s ran with %s, %s with %s.",
		p.arm.Name, la.text(), p.base.Name, lb.text())
	c.Trials = append(refs(p.a), refs(p.b)...)
	return c
}

func threadsCheck(p pair) Check {
	c := Check{Name: "equal-threads", Status: Pass}
	ta, tb := p.arm.Threads, p.base.Threads
	switch {
	case slices.Equal(ta, tb) && len(ta) == 1:
		c.Text = fmt.Sprintf("Every rank of both arms had %s.", plural(ta[0], "thread"))
	case launchOf(p.a).alike(launchOf(p.b)):
		c.Status = Note
		c.Text = fmt.Sprintf("%s: %s; %s: %s.", p.arm.Name, list(ta), p.base.Name, list(tb))
	default:
		c.Status = Refuse
		c.Text = fmt.Sprintf("%s: %s; %s: %s.", p.arm.Name, list(ta), p.base.Name, list(tb))
	}
	return c
}

func problemCheck(p pair) Check {
	size := func(r *TrialRow) [3]int { return r.local }
	sizes := distinct(append(slices.Clone(p.a), p.b...), size)
	c := Check{Name: "equal-problem", Status: Pass}
	if len(sizes) == 1 {
		for s := range sizes {
			if s == [3]int{} {
				return Check{} // the application has no grid
			}
			if s[1] == 1 && s[2] == 1 {
				c.Text = fmt.Sprintf("Every trial used arrays of %d elements.", s[0])
				return c
			}
			c.Text = fmt.Sprintf("Every rank solved %d x %d x %d points.", s[0], s[1], s[2])
		}
		return c
	}
	c.Status = Refuse
	c.Text = fmt.Sprintf("The trials solved %d different problem sizes.", len(sizes))
	return c
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
	c := Check{Name: "equal-image", Status: Pass}
	for arch, images := range byArch {
		if len(images) > 1 {
			c.Status = Refuse
			c.Text = fmt.Sprintf("On %s the trials ran different images: %s.", arch, strings.Join(slices.Sorted(maps.Keys(images)), ", "))
			return c
		}
	}
	switch {
	case known == 0:
		c.Status, c.Text = Note, "The images are not recorded."
	case len(all) > 1:
		c.Status = Note
		c.Text = fmt.Sprintf("Each architecture has an image built with its own flags (%s), so a part of a gap between architectures may be the compiler's.",
			strings.Join(slices.Sorted(maps.Keys(all)), ", "))
	default:
		c.Text = "All trials ran the same image."
	}
	return c
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

func artifactCheck(p pair) Check {
	all := distinct(append(slices.Clone(p.a), p.b...), func(r *TrialRow) string { return r.artifact })
	if len(all) == 1 {
		for digest := range all {
			if digest == "" {
				return Check{}
			}
		}
		return Check{Name: "equal-artifact", Status: Pass, Text: "All decisions were made from the same artifact."}
	}
	return Check{Name: "equal-artifact", Status: Refuse, Text: fmt.Sprintf("The decisions were made from %d different artifacts.", len(all))}
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
		return Check{Name: "decision-followed", Status: Note, Text: "The webhook's decisions are not recorded, so it cannot be shown that the trials ran where it decided."}
	case len(wrong) > 0:
		return Check{Name: "decision-followed", Status: Refuse, Text: fmt.Sprintf("%s ran on another instance type than was decided.", plural(len(wrong), "trial")), Trials: refs(wrong)}
	}
	return Check{Name: "decision-followed", Status: Pass, Text: "Every trial ran on the instance type that was decided."}
}
