--- name:   read_stream
--- caller: reader
--- keys:   stream
--- args:   now after limit max_bytes
--- reply:  position topic payload …
--- include "pages"
local found, from = {}, ARGV[2] == "" and "-" or "(" .. ARGV[2]
pages(found, tonumber(ARGV[3]), tonumber(ARGV[4]), function(limit)
  local page = call("XRANGE", KEYS[1] .. "l", from, "+", "COUNT", limit)
  if #page > 0 then from = "(" .. page[#page][1] end
  return page
end)
local reply = {}
for _, event in ipairs(found) do
  reply[#reply + 1] = event[1]
  reply[#reply + 1] = event[2][2]
  reply[#reply + 1] = event[2][4]
end
return reply
