-- What every script begins with. All keys of a partition begin with PREFIX:{pNN}: and are
-- in its slot; KEYS[1] is its lease, the others are named from it (docs/operations/redis.md).
-- ARGV[1]: the time in µs, empty for the server's.   ARGV[2]: the same in ms, rounded up.
-- ARGV[3]: the call, whose answer a repeat gets again; empty: a repeat does no harm.
-- ARGV[4]: the token of who holds the partition, and how many of its puts it was told of;
-- empty: anybody may call.
-- ARGV[5]: the mark of what the call takes: t TOKEN, or nGEN NODE, or empty.
local call, sub, match = redis.call, string.sub, string.match
local P = sub(KEYS[1], 1, -6) -- PREFIX:{pNN}:
local ANSWER = P .. 'answer:' .. ARGV[3]
if ARGV[3] ~= '' then
	local before = call('GET', ANSWER)
	if before then
		call('PEXPIRE', ANSWER, 30000) -- something is written, for replicas to acknowledge
		return cmsgpack.unpack(before)
	end
end

local function int(n) return string.format('%d', n) end

local clock = call('TIME')
local servertime = clock[1] * 1000 + math.floor(clock[2] / 1000)
-- now and later are the time in ms, rounded down and up: what ends, ends at later plus its
-- length, and has ended when now is there.
local micros, now, later = tonumber(ARGV[1]), nil, tonumber(ARGV[2])
if micros then
	now = math.floor(micros / 1000)
else
	micros = clock[1] * 1000000 + clock[2]
	now, later = servertime, math.ceil(micros / 1000)
end

-- The partition's own hash: items, leased, dead are sums over its streams; high the highest
-- sequence number; tok the token of its last holder; puts counts those of all holders; era
-- counts those who began anew; names and types number the sets of member names and the event
-- types.
local PART = P .. 'part'

-- begin lets a holder, or a process that begins anew under its name, find all work: what
-- its predecessor had taken returns to its place when the stream is looked at.
local function begin()
	call('HINCRBY', PART, 'era', 1)
	call('ZUNIONSTORE', P .. 'ready', 2, P .. 'ready', P .. 'depths', 'WEIGHTS', 0, 0)
	call('ZUNIONSTORE', P .. 'due', 1, P .. 'due', 'WEIGHTS', 0)
end

local TOKEN, PUTS = match(ARGV[4], '^(%d+) (%d+)$')
if TOKEN then
	local lease = call('HMGET', KEYS[1], 'token', 'until')
	if lease[1] ~= TOKEN or tonumber(lease[2]) <= servertime then
		return redis.error_reply('NOTHELD the lease of the partition is not held')
	end
	local part = call('HMGET', PART, 'tok', 'puts')
	if tonumber(part[2] or 0) < tonumber(PUTS) then
		return redis.error_reply('WENTBACK the server does not have what the holder has put')
	end
	if tonumber(part[1] or 0) < tonumber(TOKEN) then
		call('HSET', PART, 'tok', TOKEN)
		begin()
	end
end

local function answered(answer)
	if ARGV[3] ~= '' then call('SET', ANSWER, cmsgpack.pack(answer), 'PX', 30000) end
	return answer
end

-- written sees that something is written, for replicas to acknowledge, in a repeat too.
local function written() call('HSET', PART, 'written', int(now)) end

-- raise raises the highest sequence number that the partition knows of.
local function raise(seq)
	if tonumber(seq) > tonumber(call('HGET', PART, 'high') or 0) then call('HSET', PART, 'high', seq) end
end

-- typeNumber returns the number of an event type, a new one for a new type.
local typeNumbers = {}
local function typeNumber(uri)
	local n = typeNumbers[uri]
	if not n then
		n = call('HGET', P .. 'types', uri)
		if not n then
			n = int(call('HINCRBY', PART, 'types', 1))
			call('HSET', P .. 'types', uri, n)
		end
		typeNumbers[uri] = n
	end
	return n
end
