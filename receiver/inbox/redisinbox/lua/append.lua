-- ARGV from 5: how long identities are remembered (ms), how many messages may wait or
-- be set aside; then
-- for each message: identity, lane, received, blob, '1' if it has a state, the state.
-- Answer: a character each, 0 kept, 1 duplicate, 2 full, 3 unexpected state.
local before = repeated()
if before then return before end

local remember, room = tonumber(ARGV[5]), tonumber(ARGV[6]) - redis.call('ZCARD', WAITING) - redis.call('ZCARD', DEADS)
local codes, kept = {}, 0
for i = 7, #ARGV, 6 do
	local identity, state = ARGV[i], ARGV[i + 5]
	local code = '0'
	if tonumber(redis.call('ZSCORE', SEEN, identity) or -1) >= now then
		code = '1'
	elseif room <= 0 then
		code = '2'
	elseif ARGV[i + 4] == '1' then
		if tonumber(redis.call('ZSCORE', STATES, state) or 0) <= now then code = '3' end
		redis.call('ZREM', STATES, state)
	end
	if code == '0' then
		redis.call('ZADD', SEEN, int(now + remember), identity)
		arrive(ARGV[i + 3], ARGV[i + 2], ARGV[i + 1])
		room, kept = room - 1, kept + 1
	end
	codes[#codes + 1] = code
end
if kept > 0 then
	redis.call('PEXPIRE', SEEN, int(remember + 86400000))
	tell()
end
forget(2 * #codes)
return answered(table.concat(codes))
