--- Removes request ids whose retention is over, a few at a time: `d` holds their expiry, `o` their answers.
--- include "now"
local function forget_requests(prefix)
  local over = call("ZRANGEBYSCORE", prefix .. "d", "-inf", now(), "LIMIT", 0, 100)
  if #over == 0 then return end
  call("ZREM", prefix .. "d", unpack(over))
  call("HDEL", prefix .. "o", unpack(over))
end
