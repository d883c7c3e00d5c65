-- ARGV from 6: stream, the version that was changed, the call, the document, '1' to purge,
-- '1' to clear the health, bound of the control lane, the facts (registry.lua), then for
-- each item of the control lane: 1 or u, the item (see put.lua).
-- Answer: none, again (the version is another), full, ok.
written()
local q = open(ARGV[6])
if not q then return 'none' end
if q.S.uc == ARGV[8] then
	account(q)
	return 'ok' -- a repeat
end
if q.S.v ~= ARGV[7] then
	account(q)
	return 'again'
end
local from, items, bounded = 13, {}, 0
local behind = from + 9 + tonumber(ARGV[from + 8])
for i = behind, #ARGV, 2 do
	items[#items + 1] = ARGV[i + 1]
	if ARGV[i] ~= 'u' and not known(q, jtiOf(ARGV[i + 1])) then bounded = bounded + 1 end
end
if bounded > 0 and ARGV[10] ~= '1' and num(q, 'nc') + bounded > tonumber(ARGV[12]) then
	account(q)
	return 'full'
end
if ARGV[10] == '1' then drop(q, true) end
if ARGV[11] == '1' then
	call('DEL', q.health)
	set(q, 'du', '0')
end
for i, item in ipairs(items) do putControl(q, item, ARGV[behind + 2 * i - 2] == 'u', math.huge) end
describe(q, from)
set(q, 'v', int(num(q, 'v') + 1))
set(q, 'uc', ARGV[8])
call('SET', q.doc, ARGV[9])
q.CAUSE = true
account(q)
wake()
return 'ok'
