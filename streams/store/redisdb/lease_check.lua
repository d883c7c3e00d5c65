local function servertime()
	local t = redis.call('TIME')
	return t[1] * 1000 + math.floor(t[2] / 1000)
end
-- held says whether the lease at key is that of the token, and lasts.
local function held(key, token)
	local lease = redis.call('HMGET', key, 'token', 'until')
	return lease[1] == token and tonumber(lease[2]) > servertime()
end
