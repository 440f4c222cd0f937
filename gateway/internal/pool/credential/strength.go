package credential

import (
	_ "embed"
	"math"
	"slices"
	"strings"
	"unicode"
)

// Strength is a class of the estimator.
type Strength string

// The classes, by the guesses a good attacker needs on average: below a
// thousand, a million, a hundred million, ten thousand million, and above.
const (
	Any        Strength = "any"
	Weak       Strength = "weak"
	Fair       Strength = "fair"
	Strong     Strength = "strong"
	VeryStrong Strength = "very_strong"
)

var classes = []Strength{Any, Weak, Fair, Strong, VeryStrong}

// Known tells whether s is one of the classes.
func (s Strength) Known() bool { return slices.Contains(classes, s) }

// below compares classes; the empty one is Any.
func (s Strength) below(o Strength) bool { return slices.Index(classes, s) < slices.Index(classes, o) }

// words holds common passwords and words, the commonest first.
//
//go:embed words.txt
var words string

// Estimator estimates how many guesses a password withstands: it finds the
// cheapest way to put the password together from common words, words about the
// person, repetitions, sequences, keyboard rows, years, and single characters.
// The work is bounded by the square of the password's length (published
// estimators take seconds on hostile input). It is safe for concurrent use.
type Estimator struct {
	ranks   map[string]int
	longest int // in runes
}

// NewEstimator returns an Estimator with the embedded list.
func NewEstimator() *Estimator {
	list := strings.Fields(words)
	e := &Estimator{ranks: make(map[string]int, len(list))}
	for i, w := range list {
		e.ranks[w] = i + 1
		e.longest = max(e.longest, len([]rune(w)))
	}
	return e
}

// Class returns the class of a password; about is as for Problems.
func (e *Estimator) Class(password string, about ...string) Strength {
	digits := e.Guesses(password, about...)
	switch {
	case digits < 3:
		return Any
	case digits < 6:
		return Weak
	case digits < 8:
		return Fair
	case digits < 10:
		return Strong
	}
	return VeryStrong
}

// Guesses returns the estimated number of guesses as a decimal logarithm.
func (e *Estimator) Guesses(password string, about ...string) float64 {
	c := newCandidate(password, about)
	// best[i] is the cheapest way to guess the first i characters.
	best := make([]float64, len(c.plain)+1)
	for end := 1; end <= len(c.plain); end++ {
		best[end] = best[end-1] + 1 // one more character: ten guesses
		for start := end - 1; start >= 0; start-- {
			cost, ok := e.cost(c, start, end)
			if !ok {
				continue
			}
			if start > 0 {
				cost += joint
			}
			best[end] = min(best[end], best[start]+cost)
		}
	}
	return best[len(c.plain)]
}

// joint is what it costs to guess that one part ends and another begins.
var joint = math.Log10(2)

// candidate is a password in the forms that are compared.
type candidate struct {
	plain []rune          // as typed
	lower []rune          // lower case
	leet  []rune          // lower case, with common replacements undone
	about map[string]bool // lower-case words of at least three characters
	most  int             // runes of the longest of them
}

func newCandidate(password string, about []string) candidate {
	c := candidate{plain: []rune(password), about: map[string]bool{}}
	for _, r := range c.plain {
		l := unicode.ToLower(r)
		c.lower = append(c.lower, l)
		c.leet = append(c.leet, unleet(l))
	}
	split := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }
	for _, text := range about {
		text = strings.ToLower(text)
		for _, w := range append(strings.FieldsFunc(text, split), text) {
			if n := len([]rune(w)); n >= 3 {
				c.about[w] = true
				c.most = max(c.most, n)
			}
		}
	}
	return c
}

// cost returns the guesses for characters start to end as one part, when they
// are one.
func (e *Estimator) cost(c candidate, start, end int) (float64, bool) {
	n := end - start
	if n < 2 {
		return 0, false
	}
	least := math.Inf(1)
	for _, known := range []func(candidate, int, int) float64{e.word, repeat, sequence, row, year} {
		least = min(least, known(c, start, end))
	}
	return least, !math.IsInf(least, 1)
}

// word prices a common word by its rank, doubled for capitals and replacements.
func (e *Estimator) word(c candidate, start, end int) float64 {
	if n := end - start; n > max(e.longest, c.most) {
		return math.Inf(1)
	}
	price := math.Inf(1)
	for i, form := range [][]rune{c.lower, c.leet} {
		w := string(form[start:end])
		rank := e.ranks[w]
		if c.about[w] {
			rank = 3
		}
		if rank > 0 {
			price = min(price, math.Log10(float64(rank+1))+float64(i)*joint)
		}
	}
	if !slices.Equal(c.plain[start:end], c.lower[start:end]) {
		price += joint
	}
	return price
}

// repeat prices a part that is one shorter piece several times over.
func repeat(c candidate, start, end int) float64 {
	n := end - start
	for size := 1; size <= n/2; size++ {
		if n%size != 0 || !slices.Equal(c.lower[start:end-size], c.lower[start+size:end]) {
			continue
		}
		if size == 1 && n < 3 {
			break
		}
		return float64(size) + math.Log10(float64(n/size))
	}
	return math.Inf(1)
}

// sequence prices neighbours in the alphabet or among the digits, up or down.
func sequence(c candidate, start, end int) float64 {
	s := c.lower[start:end]
	step := s[1] - s[0]
	if len(s) < 3 || step != 1 && step != -1 {
		return math.Inf(1)
	}
	for i := 2; i < len(s); i++ {
		if s[i]-s[i-1] != step {
			return math.Inf(1)
		}
	}
	return 1 + math.Log10(float64(len(s)))
}

// rows are neighbours on common keyboards.
const rows = "`1234567890-= qwertyuiop[] asdfghjkl;' zxcvbnm,./ !@#$%^&*()_+ qwertzuiop azertyuiop qsdfghjklm yxcvbnm 1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p qazwsxedcrfvtgbyhnujmikolp"

// row prices neighbours on a keyboard, in either direction.
func row(c candidate, start, end int) float64 {
	if n := end - start; n < 4 || n > 40 {
		return math.Inf(1)
	}
	s := slices.Clone(c.lower[start:end])
	forward := strings.Contains(rows, string(s))
	slices.Reverse(s)
	if !forward && !strings.Contains(rows, string(s)) {
		return math.Inf(1)
	}
	return 2 + math.Log10(float64(len(s)))
}

// year prices a year of living memory.
func year(c candidate, start, end int) float64 {
	s := string(c.plain[start:end])
	if len(s) != 4 || s < "1900" || s > "2099" || strings.Trim(s, "0123456789") != "" {
		return math.Inf(1)
	}
	return 2
}

// unleet undoes common replacements of letters.
func unleet(r rune) rune {
	const from, to = "@4830$5!17|+2", "aabeossiitltz"
	if i := strings.IndexRune(from, r); i >= 0 {
		return rune(to[i])
	}
	return r
}
