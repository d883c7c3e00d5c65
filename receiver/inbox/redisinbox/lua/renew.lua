-- ARGV from 5: lease (ms), then for each message: entry, token.
-- Answer: a character each, 1 if it is held on, 0 if its lease had ended.
local codes = {}
for i = 6, #ARGV, 2 do
	local entry = ARGV[i]
	if held(entry, ARGV[i + 1]) then
		redis.call('ZADD', OUT, int(now + ARGV[5]), entry)
		codes[#codes + 1] = '1'
	else
		codes[#codes + 1] = '0'
	end
end
return table.concat(codes)
