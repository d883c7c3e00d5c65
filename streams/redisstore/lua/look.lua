-- What a mirror asks (mirror.go). ARGV from 6: its place in the feed (empty: it has none
-- yet), a mark, how many changes at most, the number of the sets of member names that it
-- knows, from where on it loads (a stage and what is behind it; empty: nothing), how many
-- at a time, how many event types it knows, then streams whose facts it wants.
-- Answer: {'gap'} if changes after the place are missing, or the place is of another
-- history; else 'ok', the place, '1' if there are more changes, and the changes, each what,
-- stream, tail, keys. If there are no more: facts of the streams that changed or are
-- loaded, each id, status, owner, epoch, from, '1' for all subjects, numbers of types (id
-- alone: it is gone); how many types there are and, if it is another number, each with its
-- number; the number of the sets of names and, if it is another, the sets; stage, from
-- where on and members of `match`; how many streams and members there are.
local function stamp(entry) return entry[1] .. ' ' .. redis.sha1hex(table.concat(entry[2], '\0')) end
local function mark()
	tell('m', ARGV[7])
	return call('XREVRANGE', CHANGES, '+', '-', 'COUNT', 1)[1]
end

local wanted, order = {}, {}
local function want(id)
	if not wanted[id] then
		wanted[id] = true
		order[#order + 1] = id
	end
end

local last, more, changes = nil, '', {}
if ARGV[6] == '' then
	last = mark()
else
	local room = tonumber(ARGV[8])
	local entries = call('XRANGE', CHANGES, match(ARGV[6], '^%S+'), '+', 'COUNT', room + 2)
	if not entries[1] or stamp(entries[1]) ~= ARGV[6] then return {'gap'} end
	if #entries > room + 1 then
		more = '1'
		entries[room + 2] = nil
	end
	last = entries[#entries]
	for i = 2, #entries do
		local f = entries[i][2]
		if f[2] ~= 'm' then
			changes[#changes + 1] = {f[2], f[4], f[6], f[8]}
			if f[2] == 's' then want(f[4]) end
		end
	end
	if more == '' and tonumber(match(last[1], '^%d+')) < servertime - LIFE / 2 then last = mark() end
end
if more ~= '' then return {'ok', stamp(last), more, changes} end
for i = 14, #ARGV do want(ARGV[i]) end

local stage, after, page, members = ARGV[10], ARGV[11], tonumber(ARGV[12]), {}
if stage == 'streams' then
	local scan = call('SSCAN', P .. 'streams', after, 'COUNT', page)
	for _, id in ipairs(scan[2]) do want(id) end
	after = scan[1]
	if after == '0' then stage, after = 'match', '' end
end
if stage == 'match' then
	members = call('ZRANGE', P .. 'match', after == '' and '-' or '(' .. after, '+', 'BYLEX', 'LIMIT', 0, page)
	after = members[#members] or ''
	if #members < page then stage, after = '', '' end
end

local facts = {}
for i, id in ipairs(order) do
	local f = call('HMGET', P .. 's:' .. id, 'st', 'ow', 'ep', 'fr', 'al', 'ty')
	if f[1] then
		facts[i] = {id, unpack(f)}
	else
		facts[i] = {id}
	end
end
local types = {call('HGET', PART, 'types') or '0'}
if types[1] ~= ARGV[13] then
	for _, v in ipairs(call('HGETALL', P .. 'types')) do types[#types + 1] = v end
end
local names = {call('HGET', PART, 'names') or '0'}
if names[1] ~= ARGV[9] then
	for _, set in ipairs(call('HKEYS', P .. 'names')) do names[#names + 1] = set end
end
return {'ok', stamp(last), more, changes, facts, types, names, stage, after, members,
	call('SCARD', P .. 'streams') + call('ZCARD', P .. 'match')}
