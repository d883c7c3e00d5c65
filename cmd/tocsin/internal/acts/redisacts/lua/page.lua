-- The newest acts that have a key, before a place.
-- KEYS: acts, index   ARGV: digest of the key, place, how many, how many bytes.
-- Answer: 'more' or 'all', then place and act, and so on, the newest first.
local names = redis.call('ZRANGE', KEYS[2], '(' .. ARGV[1] .. ':' .. ARGV[2], '[' .. ARGV[1] .. ':', 'BYLEX', 'REV', 'LIMIT', 0, ARGV[3])
local room, answer = tonumber(ARGV[4]), {'all'}
for _, name in ipairs(names) do
	local seq = string.sub(name, -16)
	local act = redis.call('HGET', KEYS[1], seq)
	room = room - #act
	if room < 0 and #answer > 1 then
		answer[1] = 'more'
		break
	end
	answer[#answer + 1] = seq
	answer[#answer + 1] = act
end
return answer
