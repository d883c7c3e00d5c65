-- ARGV from 6: stream, how many, then numbers of records. Answer: the items that point at
-- them.
local q = open(ARGV[6])
if not q then return {} end
local room, items = tonumber(ARGV[7]), {}
local function add(place, item) items[#items + 1] = answer(q, place, item) end
for i = 8, #ARGV do
	for _, entry in ipairs(call('XRANGE', q.q, ARGV[i] .. '-0', ARGV[i] .. '-18446744073709551615', 'COUNT', 256)) do
		local item = entry[2][2]
		if sub(item, 22, 33) == NOREF and #items < room then add(eventPlace(entry[1]), item) end
	end
	local record = string.format('%016.0f', tonumber(ARGV[i]))
	for _, member in ipairs(call('ZRANGE', q.ref, '[' .. record .. ':', '[' .. record .. ';', 'BYLEX', 'LIMIT', 0, 256)) do
		local place = sub(member, 18)
		local item = load(q, place)
		if item and #items < room then add(place, item) end
	end
end
account(q)
wake()
return items
