package eks

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/eks/account"
)

// knownVersions are the minors that eksctl's pinned release knows; EKS may offer others.
var knownVersions = []string{"1.30", "1.31", "1.32", "1.33", "1.34", "1.35"}

// lifetimes are when a minor leaves EKS' standard and extended support: EKS user guide, "Kubernetes release calendar". They are for plans,
// which ask nobody; what AWS says comes first.
var lifetimes = map[string]struct{ standard, extended time.Time }{
	"1.30": {date(2025, time.July, 23), date(2026, time.July, 23)},
	"1.31": {date(2025, time.November, 26), date(2026, time.November, 26)},
	"1.32": {date(2026, time.March, 23), date(2027, time.March, 23)},
	"1.33": {date(2026, time.July, 29), date(2027, time.July, 29)},
	"1.34": {date(2026, time.December, 2), date(2027, time.December, 2)},
	"1.35": {date(2027, time.March, 27), date(2028, time.March, 27)},
}

func date(year int, month time.Month, day int) time.Time {
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

// soon is how long a version should stay in standard support to be taken without being asked for.
const soon = 60 * 24 * time.Hour

// StandardUntil is when a minor leaves standard support, from which on its control plane costs more; zero when that is not known.
func StandardUntil(minor string) time.Time { return lifetimes[minor].standard }

// chooseVersion takes, of the versions that EKS offers and this program knows, EKS' own choice if it stays in standard support for a while,
// and otherwise the newest that does.
func chooseVersion(offered []account.Version, now time.Time) string {
	best, stays := "", false
	for _, v := range offered {
		if !slices.Contains(knownVersions, v.Minor) {
			continue
		}
		lasts := v.StandardUntil.IsZero() || v.StandardUntil.Sub(now) > soon
		switch {
		case v.Default && lasts:
			return v.Minor
		case best == "" || (lasts && !stays) || (lasts == stays && slices.Index(knownVersions, v.Minor) > slices.Index(knownVersions, best)):
			best, stays = v.Minor, lasts
		}
	}
	return best
}

// checkSupport adds what a version's support means for its price.
func (p *Provider) checkSupport(r *provision.Report, v account.Version, offered []account.Version, now time.Time) {
	const name = "kubernetes version"
	day := func(t time.Time) string { return t.Format("2 January 2006") }
	better := chooseVersion(offered, now)
	try := ""
	if better != "" && better != v.Minor {
		try = "set kubernetesVersion: " + fmt.Sprintf("%q", better) + " in lab.yaml, which is in standard support for longer"
	}
	prices := p.opts.listPrices()
	switch {
	case v.Unsupported || (!v.ExtendedUntil.IsZero() && !now.Before(v.ExtendedUntil)):
		r.Add(name, provision.CheckFailed, try, "EKS does not support %s any more", v.Minor)
	case v.Extended || (!v.StandardUntil.IsZero() && !now.Before(v.StandardUntil)):
		r.Add(name, provision.CheckWarning, try, "%s is in extended support: the control plane costs $%.2f an hour instead of $%.2f", v.Minor, prices.Extended, prices.ControlPlane)
	case !v.StandardUntil.IsZero() && v.StandardUntil.Sub(now) < soon:
		r.Add(name, provision.CheckWarning, try, "%s leaves standard support on %s: from then on the control plane costs $%.2f an hour instead of $%.2f",
			v.Minor, day(v.StandardUntil), prices.Extended, prices.ControlPlane)
	case v.StandardUntil.IsZero():
		r.Add(name, provision.CheckOK, "", "%s", v.Minor)
	default:
		r.Add(name, provision.CheckOK, "", "%s, in standard support until %s", v.Minor, day(v.StandardUntil))
	}
}

// offeredOf finds a minor among what EKS offers and fills in what this program knows where EKS gives no dates.
func offeredOf(minor string, offered []account.Version) (account.Version, bool) {
	i := slices.IndexFunc(offered, func(v account.Version) bool { return v.Minor == minor })
	if i < 0 {
		return account.Version{}, false
	}
	v := offered[i]
	if v.StandardUntil.IsZero() {
		v.StandardUntil, v.ExtendedUntil = lifetimes[minor].standard, lifetimes[minor].extended
	}
	return v, true
}

func minors(versions []account.Version) string {
	var names []string
	for _, v := range versions {
		if slices.Contains(knownVersions, v.Minor) && !v.Unsupported {
			names = append(names, v.Minor)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
