-- Reads consecutive records. KEYS 1 head, then of two segments their rows and bodies.
-- ARGV 1 place of the first in its segment, 2 how many, 3 bytes that are enough.
-- Answer: how many records were erased ever, the rows, the bodies; false for one that is gone.
local ROW, SEGMENT = 41, 256
local first, count, room = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local erased = redis.call('HGET', KEYS[1], 'erased') or '0'
local rows = redis.call('GETRANGE', KEYS[2], first * ROW, (first + count) * ROW - 1)
if first + count > SEGMENT then
	rows = rows .. redis.call('GETRANGE', KEYS[4], 0, (first + count - SEGMENT) * ROW - 1)
end
local bodies = {}
for i = first, first + #rows / ROW - 1 do
	local key, field = KEYS[3], i
	if i >= SEGMENT then key, field = KEYS[5], i - SEGMENT end
	local body = redis.call('HGET', key, field)
	bodies[#bodies + 1] = body
	room = room - (body and #body or 0)
	if room <= 0 then break end
end
return {erased, rows, bodies}
