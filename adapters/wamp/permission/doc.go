// Package permission decides what a role may do with a URI, by rules in the
// manner of Crossbar's static authorization: exact, prefix and wildcard rules,
// each of which allows or denies four actions.
//
// One rule decides a URI alone; rules are not combined. It is the exact rule
// for the URI; else, of the matching wildcard rules, the one with the most fixed
// components, the earlier of equals; else the longest matching prefix rule. No
// rule: denied. Unlike in Crossbar an exact rule a.b leaves a.b.c to the other
// rules, and a wildcard rule needs no two dots in a row.
//
// A subscription or registration by pattern is allowed only if every URI that
// the pattern matches is.
//
// The package knows no session and no message: [Set.Decide] and [Set.Allows]
// are asked by the router's authorizer and for publications over HTTP alike.
package permission
