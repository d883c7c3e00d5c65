-- ARGV from 6: the number of the sets of member names that the keys were made for (empty:
-- whichever), seq, event type, how many candidates to look at, from which look-up on and
-- behind which member of it, number of owners ('-': any), the owners, number of keys that exclude, the
-- keys, number of look-ups by a key, and each: index of the subject, key.
-- Answer: {'names', number, sets…} if the sets are others; else {'ok', the look-up to go on
-- with ('': none is left), behind which member, then stream, owner, epoch and index of each
-- candidate (-1: all subjects)}.
local known = call('HGET', PART, 'names') or '0'
if ARGV[6] ~= '' and ARGV[6] ~= known then
	local answer = {'names', known}
	for _, set in ipairs(call('HKEYS', P .. 'names')) do answer[#answer + 1] = set end
	return answer
end
local seq, room, lookup, after = tonumber(ARGV[7]), tonumber(ARGV[9]), tonumber(ARGV[10]), ARGV[11]
local number = call('HGET', P .. 'types', ARGV[8])
if not number then return {'ok', '', ''} end
local i, owners, prefixes = 13, nil, {}
local byType = string.format('%06.0f', tonumber(number))
if ARGV[12] == '-' then
	prefixes[1] = {-1, byType, 'all'}
else
	owners = {}
	for k = 1, tonumber(ARGV[12]) do
		if not owners[ARGV[i]] then
			owners[ARGV[i]] = true
			prefixes[#prefixes + 1] = {-1, byType .. sub(redis.sha1hex(ARGV[i]), 1, 16), 'all'}
		end
		i = i + 1
	end
end
local excluding = {}
for k = 1, tonumber(ARGV[i]) do excluding[k] = ARGV[i + k] end
i = i + 1 + #excluding
for k = 1, tonumber(ARGV[i]) do
	prefixes[#prefixes + 1] = {tonumber(ARGV[i + 2 * k - 1]), ARGV[i + 2 * k] .. 'e', 'match'}
end

-- range returns members of a set that begin with a prefix.
local function range(set, prefix, after, max)
	local last = sub(prefix, 1, -2) .. string.char(string.byte(prefix, -1) + 1) -- ends in a digit or a letter
	return call('ZRANGE', P .. set, after ~= '' and '(' .. after or '[' .. prefix, '(' .. last, 'BYLEX', 'LIMIT', 0, max)
end

local excluded
local function excludes(id)
	if not excluded then
		excluded = {}
		for _, key in ipairs(excluding) do
			for _, member in ipairs(range('match', key .. 'x', '', -1)) do excluded[sub(member, #key + 2)] = true end
		end
	end
	return excluded[id]
end

local answer = {'ok', '', ''}
while lookup <= #prefixes do
	local index, prefix, set = unpack(prefixes[lookup])
	local list = range(set, prefix, after, room)
	for _, member in ipairs(list) do
		local id = set == 'all' and sub(member, 23) or match(sub(member, #prefix + 1), '^[^%z]*')
		local f = call('HMGET', P .. 's:' .. id, 'st', 'fr', 'ow', 'ep', 'al', 'ex', 'ty')
		if f[1] and f[1] ~= 'd' and tonumber(f[2]) < seq and (not owners or owners[f[3]]) and
			string.find(f[7], ',' .. number .. ',', 1, true) and
			(set == 'all' and not (tonumber(f[6] or 0) > 0 and excludes(id)) or set == 'match' and f[5] ~= '1') then
			answer[#answer + 1] = id
			answer[#answer + 1] = f[3]
			answer[#answer + 1] = f[4]
			answer[#answer + 1] = index
		end
	end
	room = room - #list
	if room <= 0 then
		answer[2], answer[3] = int(lookup), list[#list]
		return answer
	end
	lookup, after = lookup + 1, ''
end
return answer
