-- What is looked up of a stream in its partition: by event type if it hears of all
-- subjects (all), by when it becomes inactive (idle).
local function owned(owner) return sub(redis.sha1hex(owner), 1, 16) end

-- indexed calls fn with each of the stream's members of all.
local function indexed(q, fn)
	if q.S.al ~= '1' or q.S.st == 'd' then return end
	local owner = owned(q.S.ow)
	for n in string.gmatch(q.S.ty or '', '%d+') do
		fn(string.format('%06.0f', tonumber(n)) .. owner .. q.ID)
	end
end

local function watch(q)
	local timeout = num(q, 'to')
	if timeout > 0 and (q.S.st == 'e' or q.S.st == 'p' and q.S.by == 'r') then
		call('ZADD', P .. 'idle', int(math.ceil(num(q, 'ac') / 1000000) + timeout), q.ID)
	else
		call('ZREM', P .. 'idle', q.ID)
	end
end

-- describe takes over the facts of ARGV from i: status, epoch, from, '1' for all subjects,
-- '1' if it is pushed to, who decided the status, timeout (ms), active (ns; empty: as it
-- was), number of event types, the types. It returns the index behind them.
local function describe(q, i)
	indexed(q, function(member) call('ZREM', P .. 'all', member) end)
	for k, field in ipairs({'st', 'ep', 'fr', 'al', 'pu', 'by', 'to', 'ac'}) do
		if field ~= 'ac' or ARGV[i + k - 1] ~= '' then set(q, field, ARGV[i + k - 1]) end
	end
	local types = {}
	for k = 1, tonumber(ARGV[i + 8]) do types[k] = typeNumber(ARGV[i + 8 + k]) end
	set(q, 'ty', ',' .. table.concat(types, ',') .. ',')
	indexed(q, function(member) call('ZADD', P .. 'all', 0, member) end)
	local d = q.DIRTY
	if d.st or d.ep or d.fr or d.al or d.ty then tell('s', q.ID) end
	watch(q)
	raise(q.S.fr)
	return i + 9 + #types
end
