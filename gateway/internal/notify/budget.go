package notify

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nyaruka/phonenumbers"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// Limits are the budgets, each of one tenant. Zero means no limit. A window
// begins with the first message in it.
type Limits struct {
	Cooldown          store.Duration `json:"cooldown"`             // between two messages of one kind to one address
	PerAddressHour    int            `json:"per_address_hour"`     // messages to one address
	PerAddressDay     int            `json:"per_address_day"`      //
	PerNetworkHour    int            `json:"per_network_hour"`     // messages that one network asks for
	PerAskerHour      int            `json:"per_asker_hour"`       // messages to one address that one network asks for
	SMSPerHour        int            `json:"sms_per_hour"`         // of the tenant
	SMSPerCountryHour int            `json:"sms_per_country_hour"` // of the tenant to one country calling code
	SMSCountries      []string       `json:"sms_countries"`        // the only countries that get SMS, by ISO 3166 code; empty: all
}

// DefaultLimits returns the limits that hold unless somebody says otherwise.
func DefaultLimits() Limits {
	return Limits{
		Cooldown:       store.Duration(30 * time.Second),
		PerAddressHour: 10, PerAddressDay: 30, PerNetworkHour: 300, PerAskerHour: 5,
		SMSPerHour: 200, SMSPerCountryHour: 50,
	}
}

// The kinds of counters.
const (
	countNetwork = "message_network"
	countAsker   = "message_asker"
	countAgain   = "message_again"
	countHour    = "message_hour"
	countDay     = "message_day"
	countCountry = "message_country"
	countSMS     = "message_sms"
)

// rule is the limit of a counter.
func (l Limits) rule(_ context.Context, _, kind string) (limit.Rule, error) {
	switch kind {
	case countNetwork:
		return limit.Rule{Max: l.PerNetworkHour, Window: time.Hour}, nil
	case countAsker:
		return limit.Rule{Max: l.PerAskerHour, Window: time.Hour}, nil
	case countAgain:
		if l.Cooldown <= 0 {
			return limit.Rule{}, nil
		}
		return limit.Rule{Max: 1, Window: time.Duration(l.Cooldown)}, nil
	case countHour:
		return limit.Rule{Max: l.PerAddressHour, Window: time.Hour}, nil
	case countDay:
		return limit.Rule{Max: l.PerAddressDay, Window: 24 * time.Hour}, nil
	case countCountry:
		return limit.Rule{Max: l.SMSPerCountryHour, Window: time.Hour}, nil
	case countSMS:
		return limit.Rule{Max: l.SMSPerHour, Window: time.Hour}, nil
	}
	return limit.Rule{}, fmt.Errorf("notify: no budget %q", kind)
}

// spend counts a message, or refuses it. The asker's own budget comes first and
// the tenant's last: who is over the first cannot use up what others need. A
// browser with which the person has signed in before has no budget of its own.
func (n *Notifier) spend(ctx context.Context, m *Message) error {
	type counter struct{ kind, key string }
	to := m.Channel + "/" + strings.ToLower(m.To)
	var list []counter
	if from := limit.OriginOf(ctx); !m.Operator && !from.Knows(m.Pool+"/"+m.User) {
		// One stranger alone must not use up what an address may get: the person
		// would be left without codes.
		list = append(list, counter{countNetwork, from.Network}, counter{countAsker, from.Network + " " + to})
	}
	list = append(list, counter{countAgain, to + "/" + string(m.Kind)}, counter{countHour, to}, counter{countDay, to})
	if m.Channel == SMS {
		code, err := n.country(m.To)
		if err != nil {
			return err
		}
		list = append(list, counter{countCountry, code}, counter{countSMS, ""})
	}
	for _, c := range list {
		err := n.attempts.Take(ctx, m.Tenant, c.kind, c.key)
		if err == nil {
			continue
		}
		if fault.Is(err, fault.TooMany) {
			n.log.Warn("a message was refused: too many", "tenant", m.Tenant, "workspace", m.Workspace,
				"kind", m.Kind, "channel", m.Channel, "to", mask(m.To), "budget", c.kind, "retry_after", fault.Read(err).RetryAfter)
		}
		return fmt.Errorf("notify: budget %s: %w", c.kind, err)
	}
	return nil
}

// country returns the calling code of a number. One that is none, as Pretend may
// be given, has the empty code. The list of countries is by region, which is
// finer: many a costly island shares +1 with half a continent.
func (n *Notifier) country(to string) (string, error) {
	number, err := phonenumbers.Parse(to, "")
	if err != nil {
		return "", nil //nolint:nilerr // no number, no country: see above
	}
	region := phonenumbers.GetRegionCodeForNumber(number)
	if allowed := n.config.Limits.SMSCountries; len(allowed) > 0 && !slices.Contains(allowed, region) {
		return "", fault.New(fault.Denied, "No messages are sent to this country.", fmt.Errorf("country %q", region))
	}
	return strconv.Itoa(int(number.GetCountryCode())), nil
}

// Country tells whether code is the ISO 3166 code of a country with phone
// numbers, such as PL.
func Country(code string) bool { return phonenumbers.GetSupportedRegions()[code] }
