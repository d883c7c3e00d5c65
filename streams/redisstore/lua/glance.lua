-- ARGV from 6: how many streams to name. Answer: how many streams there are of each concern
-- (streams.Concern), from the least, then for each of the worst: its id, concern, items, dead,
-- when the oldest was added (8 bytes, ns), health. The order is that of streams.CompareLooks.
local counts, all = {0, 0, 0, 0, 0}, {}
for _, id in ipairs(call('SMEMBERS', P .. 'streams')) do
	local f = call('HMGET', P .. 's:' .. id, 'st', 'by', 'ni', 'nd')
	if f[1] then
		local l = {id = id, items = tonumber(f[3] or 0), dead = tonumber(f[4] or 0), health = '', age = math.huge, concern = 0}
		local failures = 0
		if l.items > 0 then
			l.age = tonumber(call('ZSCORE', P .. 'ages', id) or math.huge)
			l.health = call('GET', P .. 'health:' .. id) or ''
			failures = tonumber(match(l.health, '"Failures":(%d+)') or 0)
		end
		if f[1] == 'e' and failures > 0 then l.concern = 4
		elseif f[1] ~= 'e' and f[2] ~= 'r' then l.concern = 3
		elseif f[1] ~= 'e' then l.concern = 2
		elseif l.dead > 0 then l.concern = 1 end
		counts[l.concern + 1] = counts[l.concern + 1] + 1
		all[#all + 1] = l
	end
end
table.sort(all, function(a, b)
	if a.concern ~= b.concern then return a.concern > b.concern end
	if a.age ~= b.age then return a.age < b.age end
	if a.dead ~= b.dead then return a.dead > b.dead end
	if a.items ~= b.items then return a.items > b.items end
	return a.id < b.id
end)
local answer = counts
for i = 1, math.min(#all, tonumber(ARGV[6])) do
	local l = all[i]
	for _, v in ipairs({l.id, l.concern, l.items, l.dead, oldestAt(setmetatable({ID = l.id, S = {}, DIRTY = {}}, names)), l.health}) do
		answer[#answer + 1] = v
	end
end
return answer
