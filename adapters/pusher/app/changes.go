package app

// Changes are what a new configuration takes away from clients that are
// connected.
type Changes struct {
	// Removed and Disabled are ids of apps.
	Removed, Disabled []string
	// Revoked are keys of apps that go on, which are good for nothing any more.
	Revoked []string
}

// Compare says what after takes away from before.
func Compare(before, after *Set) Changes {
	var c Changes
	for _, a := range before.apps {
		id := string(a.ID)
		now, there := after.byID[id]
		switch {
		case !there:
			c.Removed = append(c.Removed, id)
			continue
		case a.Enabled && !now.Enabled:
			c.Disabled = append(c.Disabled, id)
			continue
		}
		for _, pair := range a.Pairs {
			if _, kept := now.Pair(pair.Key); !kept {
				c.Revoked = append(c.Revoked, pair.Key)
			}
		}
	}
	return c
}
