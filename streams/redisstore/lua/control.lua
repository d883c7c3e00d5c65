-- putControl puts an item of the control lane and returns kept, seen or full.
local function putControl(q, item, maxControl)
	if known(q, item[JTI]) then return 'seen' end
	if item[TYPE] ~= UPDATED and num(q, 'nc') >= maxControl then return 'full' end
	arrive(q, item)
	return 'kept'
end
