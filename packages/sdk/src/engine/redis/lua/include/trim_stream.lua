--- Retention by length and by age.
--- include "now"
local function trim_stream(log, max_length, max_age)
  call("XTRIM", log, "MAXLEN", max_length)
  local oldest = now() - max_age
  if oldest > 0 then call("XTRIM", log, "MINID", format("%.0f", oldest)) end
end
