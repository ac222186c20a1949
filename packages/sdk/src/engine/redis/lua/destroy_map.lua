--- name:   destroy_map
--- caller: member
--- keys:   map
--- args:   now
--- reply:  1
local map = KEYS[1]
if call("DEL", map .. "e", map .. "m", map .. "d", map .. "o") > 0 then call("SPUBLISH", map .. "change", "") end
return 1
