-- Keeps entries, all or none, and forgets what is too old or too much.
-- KEYS: seq, entries, index, kinds, states, lifetimes, denials, denied, and that of the
-- answer, which a repeated call gets again.
-- ARGV: the time in ms (empty: the server's), the answer's life (ms), how many entries and
-- states there may be, how long each is kept (ms); then of each entry: its name by jti,
-- digest of the txn or -, digest of the kind, the kind, ended (-1: unknown), '1' if it is
-- done, '1' if it does not take the place of one that is, the rest, and if it is a state
-- that was told: lane (empty: none), hook, effect, time; and if it is an issuer's word: of
-- whom, words; 'deny', or up to when it takes back what it denied; the issuer's digest.
local SEQ, ENTRIES, INDEX, KINDS, STATES, LIFETIMES = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local DENIALS, DENIED, ANSWER = KEYS[7], KEYS[8], KEYS[9]
if redis.call('PEXPIRE', ANSWER, ARGV[2]) == 1 then return 'ok' end -- it writes: replicas are waited for

local function int(n) return string.format('%.0f', n) end

local now = tonumber(ARGV[1])
if not now then
	local t = redis.call('TIME')
	now = t[1] * 1000 + math.floor(t[2] / 1000)
end
local most, remember = tonumber(ARGV[3]), tonumber(ARGV[4])

-- count adds n entries of a kind, each of which ended so many sessions, to its sums.
local function count(kind, n, ended, text)
	local raw = redis.call('HGET', KINDS, kind)
	local entries, sum, unknown = 0, 0, 0
	if raw then
		local e, s, u, at = string.match(raw, '^(%d+) (%d+) (%d+) ()')
		entries, sum, unknown, text = tonumber(e), tonumber(s), tonumber(u), string.sub(raw, at)
	end
	entries = entries + n
	if ended < 0 then unknown = unknown + n else sum = sum + n * ended end
	if entries <= 0 then
		redis.call('HDEL', KINDS, kind)
	else
		redis.call('HSET', KINDS, kind, int(entries) .. ' ' .. int(sum) .. ' ' .. int(unknown) .. ' ' .. text)
	end
end

-- An entry is kept as: time ended done kind name txn REST.
local function read(seq)
	local raw = redis.call('HGET', ENTRIES, seq)
	if raw then return string.match(raw, '^(%d+) (%-?%d+) (%d) (%S+) (%S+) (%S+) ') end
end

local function names(seq, kind, name, txn)
	local list = {'a:' .. seq, 'k:' .. kind .. ':' .. seq, 'j:' .. name .. ':' .. seq}
	if txn ~= '-' then list[4] = 't:' .. txn .. ':' .. seq end
	return list
end

local function drop(seq)
	local _, ended, _, kind, name, txn = read(seq)
	if not kind then
		redis.call('ZREM', INDEX, 'a:' .. seq)
		return
	end
	for _, of in ipairs(names(seq, kind, name, txn)) do redis.call('ZREM', INDEX, of) end
	redis.call('HDEL', ENTRIES, seq)
	count(kind, -1, tonumber(ended))
end

-- The states of a lane are lines: hook effect time.
local function without(lane, hook)
	local rest = {}
	for line, of in string.gmatch(redis.call('HGET', STATES, lane) or '', '((%S+) %S+ %-?%d+\n)') do
		if of ~= hook then rest[#rest + 1] = line end
	end
	return table.concat(rest)
end

local function tell(lane, hook, effect, at)
	local known = string.match('\n' .. (redis.call('HGET', STATES, lane) or ''), '\n' .. string.gsub(hook, '%p', '%%%0') .. ' %S+ (%-?%d+)\n')
	if known and tonumber(known) > tonumber(at) then return end
	redis.call('HSET', STATES, lane, without(lane, hook) .. hook .. ' ' .. effect .. ' ' .. at .. '\n')
	redis.call('ZADD', LIFETIMES, int(now), lane .. ' ' .. hook)
end

-- The denials of one are lines: hook issuer time.
local function others(of, hook, issuer)
	local rest, at = {}, nil
	for line, h, i, t in string.gmatch(redis.call('HGET', DENIALS, of) or '', '((%S+) (%S+) (%-?%d+)\n)') do
		if h == hook and i == issuer then at = tonumber(t) else rest[#rest + 1] = line end
	end
	return table.concat(rest), at
end

local function keep(of, lines)
	if lines == '' then redis.call('HDEL', DENIALS, of) else redis.call('HSET', DENIALS, of, lines) end
end

local function hear(whom, hook, word, issuer, at)
	for of in string.gmatch(whom, '%S+') do
		local rest, known = others(of, hook, issuer)
		local name = of .. ' ' .. hook .. ' ' .. issuer
		if word == 'deny' then
			if not known or known <= tonumber(at) then
				keep(of, rest .. hook .. ' ' .. issuer .. ' ' .. at .. '\n')
				redis.call('ZADD', DENIED, int(now), name)
			end
		elseif known and word ~= '' and known <= tonumber(word) then
			keep(of, rest)
			redis.call('ZREM', DENIED, name)
		end
	end
end

local each, recorded, words = 15, 0, 0
for i = 5, #ARGV, each do
	local name, txn, kind, ended, done = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 4], ARGV[i + 5]
	recorded = recorded + 1
	local old = redis.call('ZRANGE', INDEX, '[j:' .. name .. ':', '(j:' .. name .. ';', 'BYLEX', 'LIMIT', 0, 1)[1]
	local stands = false
	if old then
		old = string.sub(old, -16)
		local _, _, was = read(old)
		stands = was == '1' and ARGV[i + 6] == '1'
		if not stands then drop(old) end
	end
	if not stands then
		local seq = string.format('%016d', redis.call('INCR', SEQ))
		redis.call('HSET', ENTRIES, seq, table.concat({int(now), ended, done, kind, name, txn, ARGV[i + 7]}, ' '))
		for _, of in ipairs(names(seq, kind, name, txn)) do redis.call('ZADD', INDEX, 0, of) end
		count(kind, 1, tonumber(ended), ARGV[i + 3])
		hear(ARGV[i + 12], ARGV[i + 9], ARGV[i + 13], ARGV[i + 14], ARGV[i + 11])
		words = words + math.ceil(#ARGV[i + 12] / 22)
		if ARGV[i + 8] ~= '' then tell(ARGV[i + 8], ARGV[i + 9], ARGV[i + 10], ARGV[i + 11]) end
	end
end

-- More goes than came, so that forgetting catches up.
for _ = 1, 2 * recorded do
	local first = redis.call('ZRANGE', INDEX, '[a:', '(a;', 'BYLEX', 'LIMIT', 0, 1)[1]
	if not first then break end
	local seq = string.sub(first, -16)
	if redis.call('HLEN', ENTRIES) <= most and tonumber(read(seq) or 0) >= now - remember then break end
	drop(seq)
end
for _ = 1, 2 * recorded do
	local first = redis.call('ZRANGE', LIFETIMES, 0, 0, 'WITHSCORES')
	if not first[1] or redis.call('ZCARD', LIFETIMES) <= most and tonumber(first[2]) >= now - remember then break end
	redis.call('ZREM', LIFETIMES, first[1])
	local lane, hook = string.match(first[1], '^(%S+) (%S+)$')
	local rest = without(lane, hook)
	if rest == '' then redis.call('HDEL', STATES, lane) else redis.call('HSET', STATES, lane, rest) end
end

for _ = 1, 2 * words do
	if redis.call('ZCARD', DENIED) <= most then break end
	local first = redis.call('ZRANGE', DENIED, 0, 0)[1]
	redis.call('ZREM', DENIED, first)
	local of, hook, issuer = string.match(first, '^(%S+) (%S+) (%S+)$')
	keep(of, (others(of, hook, issuer)))
end

-- Where nothing is recorded any more all of it ends, but denials, which have no age.
for i = 1, 6 do redis.call('PEXPIRE', KEYS[i], int(remember + 86400000)) end
redis.call('SET', ANSWER, '', 'PX', ARGV[2])
return 'ok'
