-- ARGV from 5, for each message: entry, token, verdict (done, again, aside, released),
-- delay (ms), reason, identity.
-- Answer: a character each, 1 if it counts, 0 if its lease had ended.
local before = repeated()
if before then return before end

local codes, ready = {}, false
local function wait(entry, delay)
	if delay > 0 then
		redis.call('ZADD', LATER, int(now + delay), entry)
	else
		redis.call('ZADD', READY, 0, entry)
		ready = true
	end
end

for i = 5, #ARGV, 6 do
	local entry, verdict = ARGV[i], ARGV[i + 2]
	local seq, code = number(entry), '0'
	if held(entry, ARGV[i + 1]) then
		code = '1'
		redis.call('ZREM', OUT, entry)
		redis.call('HDEL', OWNER, entry)
		if verdict == 'released' then
			wait(entry, tonumber(ARGV[i + 3]))
		elseif verdict == 'again' then
			redis.call('HINCRBY', TRIES, seq, 1)
			wait(entry, tonumber(ARGV[i + 3]))
		else
			if verdict == 'aside' then
				local attempts = (redis.call('HGET', TRIES, seq) or 0) + 1
				local reason = ARGV[i + 4]
				redis.call('HSET', DEAD, seq, table.concat({int(now), int(attempts), #reason, reason .. redis.call('HGET', MESSAGE, seq)}, ' '))
				redis.call('ZADD', DEADS, 0, seq)
				redis.call('ZADD', DEADIDS, 0, ARGV[i + 5] .. ':' .. seq)
			end
			if leave(entry) then ready = true end
		end
	end
	codes[#codes + 1] = code
end
if ready then tell() end
return answered(table.concat(codes))
