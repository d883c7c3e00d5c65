package redisdb

// ACL returns the rules of a user that can do what Tocsin does, on a server of its own, by
// Sentinels or in a cluster, and no more: what ACL SETUSER takes behind the user's name and
// password. Keys and channels are those of the prefix.
func ACL(prefix string) []string {
	return []string{
		"~" + prefix + ":*", "&" + prefix + ":*",
		"+@read", "+@write", "+@connection", "-@dangerous", "-@scripting",
		"-scan", "-randomkey", "-dbsize", // no list of what others have
		"+eval", "+evalsha", "+multi", "+exec", "+publish", "+subscribe", "+unsubscribe", "+time", "+info", "+config|get",
		"+cluster|slots", "+cluster|shards", "+cluster|nodes",
	}
}

// SentinelACL returns the rules of a user of Sentinels that can ask them for the master.
func SentinelACL() []string {
	return []string{
		"&*", "+@connection", "-@dangerous", "+subscribe", "+unsubscribe", "+info",
		"+sentinel|get-master-addr-by-name", "+sentinel|sentinels",
	}
}
