-- What every script begins with. KEYS are the keys of one feed in the order of
-- feed.keys, and last that of the answer, which a repeated call gets again.
-- ARGV[1]: the time in ms, empty for the server's.   ARGV[2]: the answer's life in ms.
-- ARGV[3], ARGV[4]: the channel of wake-ups, and what says there that it is this feed.
local SEQ, MESSAGE, WAITING, TRIES, LANES, READY, LATER, OUT, OWNER, SEEN, STATES, DEAD, DEADS, DEADIDS, ANSWER =
	KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12], KEYS[13], KEYS[14], KEYS[15]

local function int(n) return string.format('%.0f', n) end

local now = tonumber(ARGV[1])
if not now then
	local t = redis.call('TIME')
	now = t[1] * 1000 + math.floor(t[2] / 1000)
end

local function answered(answer)
	redis.call('SET', ANSWER, answer, 'PX', ARGV[2])
	return answer
end

-- repeated returns the answer of before to a call that is repeated, else nothing. It writes
-- then, so that replicas are waited for that have what the answer tells of.
local function repeated()
	local answer = redis.call('GET', ANSWER)
	if answer then redis.call('PEXPIRE', ANSWER, ARGV[2]) end
	return answer
end

-- tell wakes the other processes: something may be taken.
local function tell() redis.call('PUBLISH', ARGV[3], ARGV[4]) end

-- An entry is a message's number, and its lane if it is in order: 0000000000000042:LANE.
local function number(entry) return string.sub(entry, 1, 16) end
local function lane(entry) return string.sub(entry, 18) end

local function first(lane)
	return redis.call('ZRANGE', LANES, '[' .. lane .. ':', '[' .. lane .. ';', 'BYLEX', 'LIMIT', 0, 1)[1]
end

-- arrive lets a message wait under a new number, behind all others.
local function arrive(blob, received, lane)
	local seq = string.format('%016d', redis.call('INCR', SEQ))
	redis.call('HSET', MESSAGE, seq, blob)
	redis.call('ZADD', WAITING, received, seq)
	if lane == '' then
		redis.call('ZADD', READY, 0, seq)
		return
	end
	if not first(lane) then redis.call('ZADD', READY, 0, seq .. ':' .. lane) end
	redis.call('ZADD', LANES, 0, lane .. ':' .. seq)
end

-- leave takes a message out of what waits; the next of its lane may follow, which it says.
local function leave(entry)
	local seq, lane = number(entry), lane(entry)
	redis.call('HDEL', MESSAGE, seq)
	redis.call('ZREM', WAITING, seq)
	redis.call('HDEL', TRIES, seq)
	if lane == '' then return end
	redis.call('ZREM', LANES, lane .. ':' .. seq)
	local next = first(lane)
	if next then redis.call('ZADD', READY, 0, string.sub(next, #lane + 2) .. ':' .. lane) end
	return next
end

-- held says whether the message is out under this token and its lease goes on.
local function held(entry, token)
	return redis.call('HGET', OWNER, entry) == token and tonumber(redis.call('ZSCORE', OUT, entry) or 0) > now
end

local function forget(max)
	for _, identity in ipairs(redis.call('ZRANGE', SEEN, '-inf', '(' .. int(now), 'BYSCORE', 'LIMIT', 0, max)) do
		redis.call('ZREM', SEEN, identity)
	end
end
