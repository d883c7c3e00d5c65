-- putControl puts an item of the control lane and returns kept, seen or full.
local function putControl(q, item, updated, maxControl)
	if known(q, jtiOf(item)) then return 'seen' end
	if not updated and num(q, 'nc') >= maxControl then return 'full' end
	arrive(q, item, updated)
	return 'kept'
end
