-- ARGV from 5: token, how many, lease (ms), how many bytes.
-- Answer: ms until something may be due (-1: nothing is), then for each message:
-- entry, attempts, blob.
local token, max, lease, room = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local sweep = 256

-- What a dead or frozen process had returns to its place.
for _, entry in ipairs(redis.call('ZRANGE', OUT, '-inf', int(now), 'BYSCORE', 'LIMIT', 0, sweep)) do
	redis.call('ZREM', OUT, entry)
	redis.call('HDEL', OWNER, entry)
	redis.call('ZADD', READY, 0, entry)
end
for _, entry in ipairs(redis.call('ZRANGE', LATER, '-inf', int(now), 'BYSCORE', 'LIMIT', 0, sweep)) do
	redis.call('ZREM', LATER, entry)
	redis.call('ZADD', READY, 0, entry)
end
forget(16)

local entries = {}
local before = redis.call('GET', ANSWER)
if before then
	for entry in string.gmatch(before, '%S+') do
		if held(entry, token) then entries[#entries + 1] = entry end
	end
else
	entries = redis.call('ZRANGE', READY, 0, max - 1)
end

local taken, answer = {}, {'-1'}
for _, entry in ipairs(entries) do
	local blob = redis.call('HGET', MESSAGE, number(entry))
	if room < #blob and #taken > 0 then break end
	room = room - #blob
	redis.call('ZREM', READY, entry)
	redis.call('ZADD', OUT, int(now + lease), entry)
	redis.call('HSET', OWNER, entry, token)
	taken[#taken + 1] = entry
	answer[#answer + 1] = entry
	answer[#answer + 1] = redis.call('HGET', TRIES, number(entry)) or '0'
	answer[#answer + 1] = blob
end
if #taken > 0 and not before then answered(table.concat(taken, ' ')) end

local due
for _, set in ipairs({OUT, LATER}) do
	local head = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')[2]
	if head and (not due or tonumber(head) < due) then due = tonumber(head) end
end
if due then answer[1] = int(math.max(due - now, 0)) end
return answer
