-- Entries whose names stand between two.
-- KEYS: index, entries, kinds   ARGV: from, to, 'rev' for the last first, how many, how many bytes.
-- Answer: 'more' or 'all', then name, kind with its sums, entry, and so on.
local INDEX, ENTRIES, KINDS = KEYS[1], KEYS[2], KEYS[3]
local most, room = tonumber(ARGV[4]), tonumber(ARGV[5])
local names
if ARGV[3] == 'rev' then
	names = redis.call('ZRANGE', INDEX, ARGV[2], ARGV[1], 'BYLEX', 'REV', 'LIMIT', 0, most)
else
	names = redis.call('ZRANGE', INDEX, ARGV[1], ARGV[2], 'BYLEX', 'LIMIT', 0, most)
end
local answer = {#names == most and 'more' or 'all'}
for _, name in ipairs(names) do
	local entry = redis.call('HGET', ENTRIES, string.sub(name, -16))
	if room < #entry and #answer > 1 then
		answer[1] = 'more'
		break
	end
	room = room - #entry
	answer[#answer + 1] = name
	answer[#answer + 1] = redis.call('HGET', KINDS, string.match(entry, '^%S+ %S+ %S+ (%S+)'))
	answer[#answer + 1] = entry
end
return answer
