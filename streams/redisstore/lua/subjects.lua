-- ARGV from 6: stream, add or remove, limit (0: none), bounds of sets of member names of
-- all and of an owner; then the subject as an entry and as an exclusion (subject.lua).
-- Answer: none, full, names (too many sets of them), ok.
written()
local q = open(ARGV[6])
if not q then return answered('none') end
local limit, entry = tonumber(ARGV[8]), 11
local exclusion = behind(entry)

local function enter(i)
	local member = ARGV[i] .. ARGV[i + 1]
	if call('SISMEMBER', q.subjects, member) == 1 then return 'ok' end
	if limit > 0 and num(q, 'en') + num(q, 'ex') >= limit then return 'full' end
	local set = ARGV[i + 2]
	if set ~= '' and call('HEXISTS', P .. 'names', set) == 0 then
		local own, all = 0, call('HVALS', P .. 'names')
		for _, v in ipairs(all) do
			if match(v, '^%d+ (.*)$') == q.S.ow then own = own + 1 end
		end
		if #all >= tonumber(ARGV[9]) or own >= tonumber(ARGV[10]) then return 'names' end
	end
	if set ~= '' then countNames(set, 1, q.S.ow) end
	call('SADD', q.subjects, member)
	members(q.ID, i, function(member) call('ZADD', P .. 'match', 0, member) end)
	counted(q, ARGV[i], 1)
	tellSubject('+', q.ID, i)
	return 'ok'
end

local function remove(i)
	local was = erase(q.ID, i)
	if was then
		counted(q, ARGV[i], -1)
		tellSubject('-', q.ID, i)
	end
	return was
end

local answer = 'ok'
if ARGV[7] == 'add' then
	if q.S.al ~= '1' or not remove(exclusion) then answer = enter(entry) end
elseif q.S.al == '1' then
	answer = enter(exclusion)
	if answer == 'ok' then remove(entry) end
else
	remove(entry)
end
account(q)
return answered(answer)
