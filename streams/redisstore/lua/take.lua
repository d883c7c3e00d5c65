-- ARGV from 6: stream, how many, lease (ms), '1' to see only whether there is one.
-- Answer: 'none' if there is no such stream; else ms until a lease ends (-1: none is out),
-- '1' if there is more to look at (or, to see only, if there is one), and the items.
local q = open(ARGV[6])
if not q then return 'none' end
local items, more = {}, ''
if ARGV[9] == '1' then
	local one = available(q)
	if not one and q.LATE then one = nil end
	more = one and '1' or one == nil and '2' or ''
else
	local places, again
	places, items, again = walk(q, tonumber(ARGV[7]))
	takeOut(q, places, items, int(later + tonumber(ARGV[8])))
	if again or q.LATE then more = '1' end
	for i, item in ipairs(items) do items[i] = answer(q, places[i], item) end
end
account(q)
wake()
local due = call('ZRANGE', q.out, 0, 0, 'WITHSCORES')[2]
local wait = due and int(math.max(tonumber(due) - now, 0)) or '-1'
if #items == 0 then return {wait, more, items} end
return answered({wait, more, items})
