package console

// For tests: who may do what.
var (
	Needed        = needed
	OperatorsWork = operatorsWork
)
