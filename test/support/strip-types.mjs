// Lets Node run the sources as they are, in threads too, where tsx by itself does nothing.
import { register } from 'tsx/esm/api'

register()
