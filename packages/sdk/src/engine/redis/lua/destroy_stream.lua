--- name:   destroy_stream
--- caller: member
--- keys:   stream
--- args:   now
--- reply:  1
local stream = KEYS[1]
local keys = { stream .. "l", stream .. "m", stream .. "d", stream .. "o" }
if call("EXISTS", keys[1]) == 1 then
  for _, group in ipairs(call("XINFO", "GROUPS", keys[1])) do
    keys[#keys + 1] = stream .. "c:" .. group[2]
    keys[#keys + 1] = stream .. "r:" .. group[2]
  end
end
call("DEL", unpack(keys))
return 1
