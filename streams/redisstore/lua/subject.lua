-- Subjects of streams. A stream's own set (subjects) has kind and canonical form; `match`
-- has KEY, kind, stream and tail, so that an event finds who registered its subject by KEY
-- (16 bytes, see subjects.go). kind: e entry, x exclusion. tail: empty, but of a complex
-- entry, which shares keys with others, a zero byte and 16 that are its own.
-- A subject is in ARGV from i: kind, canonical form, set of member names (of a complex
-- entry; else empty), tail, number of keys, the keys. behind returns the index behind it.
local function behind(i) return i + 5 + tonumber(ARGV[i + 4]) end

-- members calls fn with what the subject is in `match`.
local function members(id, i, fn)
	for k = 1, tonumber(ARGV[i + 4]) do fn(ARGV[i + 4 + k] .. ARGV[i] .. id .. ARGV[i + 3]) end
end

-- countNames counts entries with a set of member names: as text "COUNT OWNER".
local function countNames(names, by, owner)
	local old = call('HGET', P .. 'names', names)
	local n, whose = 0, owner
	if old then
		n, whose = match(old, '^(%d+) (.*)$')
	end
	n = n + by
	if n > 0 then
		call('HSET', P .. 'names', names, int(n) .. ' ' .. whose)
	else
		call('HDEL', P .. 'names', names)
	end
	if not old or n <= 0 then call('HINCRBY', PART, 'names', 1) end
end

-- tellSubject tells that a subject of a stream is there (+) or gone (-).
local function tellSubject(what, id, i)
	local keys = {}
	for k = 1, tonumber(ARGV[i + 4]) do keys[k] = ARGV[i + 4 + k] end
	tell(what .. ARGV[i], id, ARGV[i + 3], table.concat(keys))
end

local function counted(q, kind, by)
	local field = kind == 'e' and 'en' or 'ex'
	set(q, field, int(num(q, field) + by))
end

-- erase takes a subject away; false if it was not there.
local function erase(id, i)
	if call('SREM', P .. 'subjects:' .. id, ARGV[i] .. ARGV[i + 1]) == 0 then return false end
	members(id, i, function(member) call('ZREM', P .. 'match', member) end)
	if ARGV[i + 2] ~= '' then countNames(ARGV[i + 2], -1, '') end
	return true
end
