-- The feed of what changed of streams and subjects, which holders of the partition follow
-- (mirror.go). It tells of a stream that its facts are others, and of a subject by what is
-- in `match` of it: digests. An entry ends with MOST others behind it, or after LIFE (ms)
-- at the next change; the whole after LIFE without one.
local CHANGES, MOST, LIFE = P .. 'changes', 4096, 1800000

-- tell tells a change: s of a stream, or of its subject, + or - and the kind; m tells
-- nothing, it is a mark of one who follows.
local function tell(what, id, tail, keys)
	call('XADD', CHANGES, 'MAXLEN', MOST, '*', 'c', what, 'i', id, 't', tail or '', 'k', keys or '')
	call('XTRIM', CHANGES, 'MINID', int(servertime - LIFE))
	call('PEXPIRE', CHANGES, LIFE)
end
