-- The newest entries of several kinds, before a place.
-- KEYS: index, entries, kinds   ARGV: place, how many, how many bytes, then what the names of each
-- kind begin with.
-- Answer: 'more' or 'all', then place, kind with its sums, entry, and so on, the newest
-- first.
local INDEX, ENTRIES, KINDS = KEYS[1], KEYS[2], KEYS[3]
local place, most, room = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local kinds = {}
for i = 4, #ARGV do kinds[#kinds + 1] = {from = '[' .. ARGV[i], to = '(' .. ARGV[i] .. place, got = {}, at = 1} end
local chunk = math.min(most, math.max(4, math.ceil(2 * most / math.max(#kinds, 1))))

-- Of each kind the next few are got. From the highest place on at which one of them stops,
-- all are known; then those that have none left get more.
local found = {}
while #kinds > 0 and #found < most do
	local known, left = '', {}
	for _, kind in ipairs(kinds) do
		if kind.at > #kind.got and not kind.ended then
			kind.got, kind.at = redis.call('ZRANGE', INDEX, kind.to, kind.from, 'BYLEX', 'REV', 'LIMIT', 0, chunk), 1
			kind.ended = #kind.got < chunk
			if #kind.got > 0 then kind.to = '(' .. kind.got[#kind.got] end
		end
		if kind.at <= #kind.got then
			left[#left + 1] = kind
			local last = string.sub(kind.got[#kind.got], -16)
			if not kind.ended and last > known then known = last end
		end
	end
	kinds = left
	for _, kind in ipairs(kinds) do
		while kind.at <= #kind.got and string.sub(kind.got[kind.at], -16) >= known do
			found[#found + 1] = string.sub(kind.got[kind.at], -16)
			kind.at = kind.at + 1
		end
	end
end
table.sort(found, function(a, b) return a > b end)

local answer = {(#kinds > 0 or #found > most) and 'more' or 'all'}
for i = 1, math.min(most, #found) do
	local entry = redis.call('HGET', ENTRIES, found[i])
	if room < #entry and #answer > 1 then
		answer[1] = 'more'
		break
	end
	room = room - #entry
	answer[#answer + 1] = found[i]
	answer[#answer + 1] = redis.call('HGET', KINDS, string.match(entry, '^%S+ %S+ %S+ (%S+)'))
	answer[#answer + 1] = entry
end
return answer
