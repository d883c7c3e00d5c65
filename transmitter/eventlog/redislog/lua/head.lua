-- What scripts begin with that must find the log as their process knows it.
-- KEYS 1 head, 2 the rows of its last segment, 3 those of the next, 4 the list of what was erased.
-- ARGV 1 the log's name, 2 the records that the process knows, 3 the leaf of the last, 4 erased records that it knows.
local ROW, SEGMENT, MAXERASED = 41, 256, 1000
local known = tonumber(ARGV[2])
local head = redis.call('HMGET', KEYS[1], 'name', 'size', 'leaf', 'millis', 'erased')
local size, erased = tonumber(head[2] or 0), tonumber(head[5] or 0)
local place = known == 0 and 0 or (known - 1) % SEGMENT + 1

local function held()
	if head[1] ~= ARGV[1] or size < known then return false end
	return known == 0 or redis.call('GETRANGE', KEYS[2], place * ROW - 32, place * ROW - 1) == ARGV[3]
end

-- lost says that the log is not the one that the process knows, or has less of it. That is
-- noted, for who opens the log.
local function lost()
	if held() then return false end
	redis.call('HSETNX', KEYS[1], 'lost', string.format('%.0f %.0f %s', known, size, redis.call('TIME')[1]))
	return true
end

-- told returns what every script does: a code, the time, the head, the rows behind those
-- that the process knows, and what was erased since; false if that is too much to tell.
local function told(code, more)
	local rows, gone = '', {}
	if code ~= 'lost' then
		if size > known then
			rows = redis.call('GETRANGE', KEYS[2], place * ROW, -1) .. redis.call('GETRANGE', KEYS[3], 0, -1)
		end
		local new = erased - tonumber(ARGV[4])
		if new > MAXERASED or new > redis.call('LLEN', KEYS[4]) then
			gone = false
		elseif new > 0 then
			gone = redis.call('LRANGE', KEYS[4], -new, -1)
		end
	end
	local t = redis.call('TIME')
	local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
	return {code, now, string.format('%.0f', size), head[3] or '', head[4] or '0', string.format('%.0f', erased), rows, gone, more or {}}
end
