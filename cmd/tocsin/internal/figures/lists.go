package figures

// Transmitter returns the figures of `tocsin serve`.
func Transmitter() []Figure {
	outcome := func(values ...string) map[string][]string { return map[string][]string{"outcome": values} }
	verdict := func(values ...string) map[string][]string { return map[string][]string{"verdict": values} }
	method := func(value string) map[string][]string { return map[string][]string{"method": {value}} }
	return []Figure{
		{Name: "events", Title: "accepted", Kind: Count, Metric: "tocsin_events_total", With: outcome("accepted")},
		{Name: "events_duplicate", Title: "sent again", Kind: Count, Metric: "tocsin_events_total", With: outcome("duplicate")},
		{Name: "events_unmapped", Title: "kept, not mapped", Kind: Count, Metric: "tocsin_events_total", With: outcome("unmapped")},
		{Name: "events_refused", Title: "refused", Kind: Count, Metric: "tocsin_events_total", With: outcome("refused")},

		{Name: "pushes", Title: "pushed", Kind: Count, Metric: "tocsin_push_attempts_total"},
		{Name: "pushes_failed", Title: "to be pushed again", Kind: Count, Metric: "tocsin_push_attempts_total", With: verdict("failed", "invalid_key", "paused")},
		{Name: "pushes_refused", Title: "refused by receivers", Kind: Count, Metric: "tocsin_push_attempts_total", With: verdict("refused")},
		{Name: "polled", Title: "handed out to polls", Kind: Count, Metric: "tocsin_poll_sets_total", With: outcome("sent")},
		{Name: "polled_refused", Title: "refused by polls", Kind: Count, Metric: "tocsin_poll_sets_total", With: outcome("refused")},

		{Name: "push", Title: "push", Kind: Spread, Metric: "tocsin_delivery_seconds", With: method("push"), Unit: "s"},
		{Name: "poll", Title: "poll", Kind: Spread, Metric: "tocsin_delivery_seconds", With: method("poll"), Unit: "s"},
		{Name: "webhook", Title: "webhook", Kind: Spread, Metric: "tocsin_delivery_seconds", With: method("webhook"), Unit: "s"},

		{Name: "waiting", Title: "waiting", Kind: Level, Metric: "tocsin_queue_depth"},
		{Name: "dead_letters", Title: "set aside", Kind: Level, Metric: "tocsin_dead_letters"},
		{Name: "oldest", Title: "oldest that waits", Kind: Level, Metric: "tocsin_queue_oldest_seconds", Unit: "s"},
		{Name: "expired", Title: "expired", Kind: Count, Metric: "tocsin_queue_expired_total"},
		{Name: "not_kept", Title: "not kept: queue full", Kind: Count, Metric: "tocsin_queue_not_kept_total"},
		{Name: "held", Title: "held back for consent", Kind: Count, Metric: "tocsin_consent_gate_total", With: outcome("held")},
	}
}

// Receiver returns the figures of `tocsin receive`.
func Receiver() []Figure {
	outcome := func(values ...string) map[string][]string { return map[string][]string{"outcome": values} }
	verdict := func(values ...string) map[string][]string { return map[string][]string{"verdict": values} }
	state := func(values ...string) map[string][]string { return map[string][]string{"state": values} }
	status := func(values ...string) map[string][]string { return map[string][]string{"status": values} }
	return []Figure{
		{Name: "sets", Title: "kept", Kind: Count, Metric: "tocsin_receive_sets_total", With: outcome("kept")},
		{Name: "sets_repeat", Title: "sent again", Kind: Count, Metric: "tocsin_receive_sets_total", With: outcome("repeat")},
		{Name: "sets_refused", Title: "refused", Kind: Count, Metric: "tocsin_receive_sets_total", With: outcome("refused")},
		{Name: "sets_deferred", Title: "not kept: to be sent again", Kind: Count, Metric: "tocsin_receive_sets_total", With: outcome("deferred")},
		{Name: "polls_failed", Title: "polls that failed", Kind: Count, Metric: "tocsin_receive_polls_total", With: outcome("failed")},

		{Name: "done", Title: "done", Kind: Count, Metric: "tocsin_receive_handled_total", With: verdict("done")},
		{Name: "again", Title: "failed, to be tried again", Kind: Count, Metric: "tocsin_receive_handled_total", With: verdict("again")},
		{Name: "set_aside", Title: "set aside", Kind: Count, Metric: "tocsin_receive_handled_total", With: verdict("set-aside")},
		{Name: "handling", Title: "one event's hooks", Kind: Spread, Metric: "tocsin_receive_handle_seconds", Unit: "s"},
		{Name: "lag", Title: "from arrival to hooks done", Kind: Spread, Metric: "tocsin_receive_lag_seconds", Unit: "s"},

		{Name: "waiting", Title: "waiting", Kind: Level, Metric: "tocsin_receive_inbox_events", With: state("waiting")},
		{Name: "failing", Title: "failing", Kind: Level, Metric: "tocsin_receive_inbox_events", With: state("failing")},
		{Name: "dead_letters", Title: "set aside", Kind: Level, Metric: "tocsin_receive_inbox_events", With: state("dead")},
		{Name: "oldest", Title: "oldest that waits", Kind: Level, Metric: "tocsin_receive_inbox_oldest_seconds", Highest: true, Unit: "s"},

		{Name: "let_through", Title: "let through", Kind: Count, Metric: "tocsin_receive_gate_total", With: status("200")},
		{Name: "turned_away", Title: "turned away", Kind: Count, Metric: "tocsin_receive_gate_total", With: status("401", "403")},
		{Name: "undecided", Title: "could not be decided", Kind: Count, Metric: "tocsin_receive_gate_total", With: status("503", "500")},
	}
}
